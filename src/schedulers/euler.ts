import type { SigmaLadder } from './ladder.ts';
import { follow, levelOfSigma, type Prediction, predictedOriginal, slopeAt } from './level.ts';
import { runNetwork, type SamplerRun } from './sampler.ts';

/**
 * Euler's method on the probability flow: Karras et al. 2022 (arXiv 2206.00364), algorithm 2 without churn, after
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_euler_discrete.py#L494-L600
 *
 * Not here: churn. The reference draws noise for it at every step and throws it away; so does this, because the same
 * stream may serve the next picture.
 */
export async function euler(ladder: SigmaLadder, prediction: Prediction, run: SamplerRun): Promise<Float32Array> {
  const steps = ladder.timesteps.length;
  let { latents } = run;
  run.onStep(0, steps, latents);
  for (const [step, timestep] of ladder.timesteps.entries()) {
    const sigma = ladder.sigmas[step]!;
    const level = levelOfSigma(sigma);
    const output = await runNetwork(run, latents, level, timestep, step);
    run.drawNoise(latents.length);
    const slope = slopeAt(latents, predictedOriginal(prediction, output, latents, level), sigma);
    latents = follow(latents, slope, ladder.sigmas[step + 1]! - sigma);
    run.onStep(step + 1, steps, latents);
  }
  return latents;
}
