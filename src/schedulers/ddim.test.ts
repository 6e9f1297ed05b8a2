import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { CanceledError } from '../base/errors.ts';
import { type NoiseConfig, stableDiffusionNoise } from '../math/noise-schedule.ts';
import { cpuNormals } from '../math/random.ts';
import { ddim } from './ddim.ts';

interface Run {
  eta: number;
  steps: number;
  timesteps: number[];
  /** After every step of a short run; after the first and the last step of a longer one. */
  latents: number[][];
}

function runs(name: string): Run[] {
  return JSON.parse(readFileSync(new URL(`../../test/fixtures/samplers/${name}.json`, import.meta.url), 'utf8'));
}

function network(latents: Float32Array, timestep: number): Float32Array {
  return latents.map((value) => 0.8 * Math.tanh(value) + 0.05 * Math.cos(0.01 * timestep));
}

/** Runs as the fixture was made: latents and noise from one CPU stream with seed 7. */
async function sample(config: NoiseConfig, { eta, steps }: { eta: number; steps: number }) {
  const stream = cpuNormals(7);
  const seen: number[] = [];
  const inputs: Float32Array[] = [];
  let draws = 0;
  const result = await ddim(config, {
    latents: stream.normal(30),
    steps,
    eta,
    denoise: async (latents, timestep) => {
      seen.push(timestep);
      inputs.push(latents);
      return network(latents, timestep);
    },
    drawNoise: (count) => {
      draws++;
      return stream.normal(count);
    },
    onStep: () => {},
    signal: { throwIfAborted: () => {} },
  });
  return { timesteps: seen, latents: [...inputs.slice(1), result], draws };
}

// Measured 5.4e-7 at most; the reference rounds to float32 after every operation.
const tolerance = { relL2: 2e-6 };

test.each(runs('ddim'))('eta $eta over $steps steps follows diffusers', async ({ eta, steps, timesteps, latents }) => {
  const run = await sample(stableDiffusionNoise, { eta, steps });
  expect(run.timesteps).toEqual(timesteps);
  expect(run.draws).toBe(eta > 0 ? steps : 0);
  const chosen = steps < 10 ? run.latents : [run.latents[0]!, run.latents.at(-1)!];
  for (const [index, expected] of latents.entries()) expectClose(chosen[index]!, expected, tolerance);
});

test.each(runs('ddim-alpha-to-one'))('linear betas that end without noise follow diffusers', async (expected) => {
  const config: NoiseConfig = { ...stableDiffusionNoise, betaSchedule: 'linear', setAlphaToOne: true };
  const run = await sample(config, expected);
  for (const [index, latents] of expected.latents.entries()) expectClose(run.latents[index]!, latents, tolerance);
});

// Computed with diffusers 0.15.1 on the same formula, from latents −1.5, −0.5, 0.5, 1.5 and noise sin(4c + j + 1).
test.each([
  [0, 20, [-7.972872, -0.656068, 0.742721, 8.346638]],
  [0, 10, [-6.196471, -0.606355, 0.658891, 6.396941]],
  [0, 1, [-1.492456, -0.496332, 0.495118, 1.491242]],
  [1, 20, [-0.7604, 0.023042, 0.153962, 1.219076]],
])('eta %d over %d steps ends at the published values', async (eta, steps, expected) => {
  let draw = 0;
  const result = await ddim(stableDiffusionNoise, {
    latents: Float32Array.of(-1.5, -0.5, 0.5, 1.5),
    steps,
    eta,
    denoise: async (latents, timestep) => network(latents, timestep),
    drawNoise: (count) => {
      const base = 4 * draw++;
      return Float32Array.from({ length: count }, (_, index) => Math.sin(base + index + 1));
    },
    onStep: () => {},
    signal: { throwIfAborted: () => {} },
  });
  expectClose(result, expected, tolerance);
});

test('reports each step and stops between two steps when it is canceled', async () => {
  const steps: string[] = [];
  let networkRuns = 0;
  const run = ddim(stableDiffusionNoise, {
    latents: new Float32Array(4),
    steps: 5,
    eta: 0,
    denoise: async (latents) => {
      networkRuns++;
      return latents;
    },
    drawNoise: (count) => new Float32Array(count),
    onStep: (step, total) => steps.push(`${step}/${total}`),
    signal: {
      throwIfAborted: () => {
        if (steps.length === 3) throw new CanceledError();
      },
    },
  });
  await expect(run).rejects.toBeInstanceOf(CanceledError);
  expect(steps).toEqual(['0/5', '1/5', '2/5']);
  expect(networkRuns).toBe(2);
});

test('leaves the latents that it was given as they are', async () => {
  const latents = cpuNormals(1).normal(16);
  const before = latents.slice();
  await ddim(stableDiffusionNoise, {
    latents,
    steps: 3,
    eta: 1,
    denoise: async (values) => values,
    drawNoise: (count) => new Float32Array(count),
    onStep: () => {},
    signal: { throwIfAborted: () => {} },
  });
  expect(latents).toEqual(before);
});

test.each([
  ['steps', 0, 0, /at least 1/],
  ['steps', -3, 0, /at least 1/],
  ['steps', 2.5, 0, /whole number/],
  ['steps', Number.NaN, 0, /whole number/],
  ['steps', 1000, 0, /at most 999 steps/],
  [
    'steps',
    1001,
    0,
    '`num_inference_steps`: 1001 cannot be larger than `self.config.train_timesteps`: 1000 as the unet model trained with this scheduler can only handle maximal 1000 timesteps.',
  ],
  ['eta', 20, 1.5, /use 0 to 1/],
  ['eta', 20, Number.NaN, /use 0 to 1/],
  ['eta', 20, Number.POSITIVE_INFINITY, /use 0 to 1/],
])('refuses %s before the network runs: %d steps, eta %d', async (field, steps, eta, message) => {
  const run = ddim(stableDiffusionNoise, {
    latents: new Float32Array(4),
    steps,
    eta,
    denoise: () => expect.fail('the network ran'),
    drawNoise: (count) => new Float32Array(count),
    onStep: () => {},
    signal: { throwIfAborted: () => {} },
  });
  await expect(run).rejects.toThrow(expect.objectContaining({ name: 'InputError', field }));
  await expect(run).rejects.toThrow(message);
});
