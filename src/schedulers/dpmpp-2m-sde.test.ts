import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { brownianNoise, brownianTree } from '../math/brownian-tree.ts';
import { cpuNormals, cudaNormals } from '../math/random.ts';
import { comfyKarrasLadder } from './comfy-ladder.ts';
import { dpmpp2mSde } from './dpmpp-2m-sde.ts';

interface Run {
  steps: number;
  denoise: number;
  seed: string;
  device: 'cpu' | 'cuda';
  sigmas: number[];
  timesteps: number[];
  start: number[];
  noise: number[][];
  samples: number[][];
}

const runs: Run[] = JSON.parse(
  readFileSync(new URL('../../test/fixtures/schedulers/dpmpp-2m-sde.json', import.meta.url), 'utf8'),
);

test.each(runs)('$steps steps from denoise $denoise follow ComfyUI, seed $seed on $device', async (run) => {
  const ladder = comfyKarrasLadder(run.steps, run.denoise);
  expect(ladder.sigmas).toEqual(run.sigmas);
  const tree = brownianTree({
    start: Math.min(...ladder.sigmas.filter((sigma) => sigma > 0)),
    end: Math.max(...ladder.sigmas),
    seed: BigInt(run.seed),
    count: run.start.length,
    normals: run.device === 'cpu' ? cpuNormals : cudaNormals,
  });
  const noiseBetween = brownianNoise(tree);
  const timesteps: number[] = [];
  const noise: Float32Array[] = [];
  const samples: Float32Array[] = [];
  await dpmpp2mSde(
    ladder,
    (sigma, next) => {
      noise.push(noiseBetween(sigma, next));
      return noise.at(-1)!;
    },
    {
      latents: Float32Array.from(run.start),
      async denoise(input, timestep) {
        timesteps.push(timestep);
        return input.map((value) => 0.8 * Math.tanh(value) + 0.05 * Math.cos(0.01 * timestep));
      },
      onStep(step, _, latents) {
        if (step > 0) samples.push(latents);
      },
      signal: { throwIfAborted: () => {} },
    },
  );
  expect(timesteps).toEqual(run.timesteps);
  expect(noise.length).toBe(run.steps - 1);
  if (run.device === 'cpu') expect(noise).toEqual(run.noise.map((values) => Float32Array.from(values)));
  expectClose(
    noise.flatMap((values) => [...values]),
    run.noise.flat(),
    { relL2: 1e-6 },
  );
  expectClose(
    samples.flatMap((values) => [...values]),
    run.samples.flat(),
    { relL2: 1e-6 },
  );
});
