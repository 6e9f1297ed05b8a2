import { clip, combine, levelOfAlpha, type Prediction, predictedOriginal } from './level.ts';
import { runNetwork, type SamplerRun } from './sampler.ts';
import type { TableStep } from './table-steps.ts';

export interface LcmOptions {
  prediction: Prediction;
  /** What timesteps are multiplied with before they decide how far the network is believed. */
  timestepScaling: number;
  clipRange?: number | undefined;
}

/** Deviation of the data that consistency models assume. */
const dataDeviation = 0.5;

/**
 * LCM: Luo et al. 2023, "Latent consistency models" (arXiv 2310.04378), algorithm 3, after
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_lcm.py#L498-L610
 *
 * Not here: timesteps of one's own, dynamic thresholding. Noise is drawn between steps, none after the last.
 */
export async function lcm(
  plan: readonly TableStep[],
  { prediction, timestepScaling, clipRange }: LcmOptions,
  run: SamplerRun,
): Promise<Float32Array> {
  let { latents } = run;
  run.onStep(0, plan.length, latents);
  for (const [step, { timestep, alpha, alphaNext }] of plan.entries()) {
    const level = levelOfAlpha(alpha);
    const output = await runNetwork(run, latents, level, timestep, step);
    const original = clip(predictedOriginal(prediction, output, latents, level), clipRange);
    const scaled = timestep * timestepScaling;
    const spread = scaled ** 2 + dataDeviation ** 2;
    latents = combine([scaled / Math.sqrt(spread), original], [dataDeviation ** 2 / spread, latents]);
    if (step < plan.length - 1) {
      const next = levelOfAlpha(alphaNext);
      latents = combine([next.signal, latents], [next.noise, run.drawNoise(latents.length)]);
    }
    run.onStep(step + 1, plan.length, latents);
  }
  return latents;
}
