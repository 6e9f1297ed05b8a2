import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { CanceledError } from '../base/errors.ts';
import { alphasCumprod, type NoiseConfig, stableDiffusionNoise } from '../math/noise-schedule.ts';
import { cpuNormals } from '../math/random.ts';
import { ddim } from './ddim.ts';
import { ddimSteps } from './table-steps.ts';

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

function plan(steps: number, { alphaToOne = false, ...noise }: Partial<NoiseConfig> & { alphaToOne?: boolean } = {}) {
  const alphas = alphasCumprod({ ...stableDiffusionNoise, ...noise });
  return ddimSteps({ alphas, steps, spacing: 'leading', offset: 1, alphaToOne });
}

const ignored = {
  drawNoise: (count: number) => new Float32Array(count),
  onStep: () => {},
  signal: { throwIfAborted: () => {} },
};

/** Runs as the fixture was made: latents and noise from one CPU stream with seed 7. */
async function sample(steps: ReturnType<typeof plan>, eta: number) {
  const stream = cpuNormals(7);
  const timesteps: number[] = [];
  const latents: Float32Array[] = [];
  let draws = 0;
  await ddim(
    steps,
    { eta, prediction: 'epsilon' },
    {
      ...ignored,
      latents: stream.normal(30),
      denoise: async (input, timestep) => {
        timesteps.push(timestep);
        return network(input, timestep);
      },
      drawNoise: (count) => {
        draws++;
        return stream.normal(count);
      },
      onStep: (step, _, after) => {
        if (step > 0) latents.push(after);
      },
    },
  );
  return { timesteps, latents, draws };
}

test.each(runs('ddim'))('eta $eta over $steps steps follows diffusers', async ({ eta, steps, timesteps, latents }) => {
  const run = await sample(plan(steps), eta);
  expect(run.timesteps).toEqual(timesteps);
  expect(run.draws).toBe(eta > 0 ? steps : 0);
  const chosen = steps < 10 ? run.latents : [run.latents[0]!, run.latents.at(-1)!];
  for (const [index, expected] of latents.entries()) expectClose(chosen[index]!, expected, { relL2: 2e-6 });
});

test.each(runs('ddim-alpha-to-one'))('linear betas that end without noise follow diffusers', async (expected) => {
  const run = await sample(plan(expected.steps, { betaSchedule: 'linear', alphaToOne: true }), expected.eta);
  for (const [index, latents] of expected.latents.entries()) expectClose(run.latents[index]!, latents, { relL2: 2e-6 });
});

test('reports each step and stops before the next network run when it is canceled', async () => {
  const steps: string[] = [];
  let networkRuns = 0;
  const run = ddim(
    plan(5),
    { eta: 0, prediction: 'epsilon' },
    {
      ...ignored,
      latents: new Float32Array(4),
      denoise: async (latents) => {
        networkRuns++;
        return latents;
      },
      onStep: (step, total) => steps.push(`${step}/${total}`),
      signal: {
        throwIfAborted: () => {
          if (steps.length === 3) throw new CanceledError();
        },
      },
    },
  );
  await expect(run).rejects.toBeInstanceOf(CanceledError);
  expect(steps).toEqual(['0/5', '1/5', '2/5']);
  expect(networkRuns).toBe(2);
});

test('leaves the latents that it was given as they are', async () => {
  const latents = cpuNormals(1).normal(16);
  const before = latents.slice();
  await ddim(plan(3), { eta: 1, prediction: 'epsilon' }, { ...ignored, latents, denoise: async (values) => values });
  expect(latents).toEqual(before);
});

test.each([
  [1000, /at most 999 steps/],
  [
    1001,
    '`num_inference_steps`: 1001 cannot be larger than `self.config.train_timesteps`: 1000 as the unet model trained with this scheduler can only handle maximal 1000 timesteps.',
  ],
])('refuses %d steps', (steps, message) => {
  expect(() => plan(steps)).toThrow(expect.objectContaining({ name: 'InputError', field: 'steps' }));
  expect(() => plan(steps)).toThrow(message);
});

test.each([1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses eta %d before the network runs', async (eta) => {
  const denoise = () => expect.fail('the network ran');
  const run = ddim(plan(20), { eta, prediction: 'epsilon' }, { ...ignored, latents: new Float32Array(4), denoise });
  await expect(run).rejects.toThrow(expect.objectContaining({ name: 'InputError', field: 'eta' }));
  await expect(run).rejects.toThrow(/use 0 to 1/);
});
