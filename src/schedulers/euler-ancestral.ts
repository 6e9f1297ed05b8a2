import type { SigmaLadder } from './ladder.ts';
import { combine, follow, levelOfSigma, type Prediction, predictedOriginal, slopeAt } from './level.ts';
import { runNetwork, type SamplerRun } from './sampler.ts';

/**
 * Euler's method with part of the noise renewed at each step, as k-diffusion made it up; after
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_euler_ancestral_discrete.py#L336-L440
 */
export async function eulerAncestral(
  ladder: SigmaLadder,
  prediction: Prediction,
  run: SamplerRun,
): Promise<Float32Array> {
  const steps = ladder.timesteps.length;
  let { latents } = run;
  run.onStep(0, steps, latents);
  for (const [step, timestep] of ladder.timesteps.entries()) {
    const sigma = ladder.sigmas[step]!;
    const next = ladder.sigmas[step + 1]!;
    const level = levelOfSigma(sigma);
    const output = await runNetwork(run, latents, level, timestep, step);
    const slope = slopeAt(latents, predictedOriginal(prediction, output, latents, level), sigma);
    const [down, up] = splitStep(sigma, next);
    latents = combine([1, follow(latents, slope, down - sigma)], [up, run.drawNoise(latents.length)]);
    run.onStep(step + 1, steps, latents);
  }
  return latents;
}

/**
 * How far to go below the next level, and how much fresh noise then leads up to it. In float32, as in the reference:
 * coming from a large sigma, `down` is what is left of a difference that has lost most of its digits.
 */
function splitStep(sigma: number, next: number): [down: number, up: number] {
  const from = single(sigma ** 2);
  const to = single(next ** 2);
  const up = single(Math.sqrt(single(single(to * single(from - to)) / from)));
  return [single(Math.sqrt(single(to - single(up ** 2)))), up];
}

const single = Math.fround;
