import { InputError } from '../base/errors.ts';
import { clip, combine, levelOfAlpha, type Prediction, predictedNoise, predictedOriginal } from './level.ts';
import { runNetwork, type SamplerRun } from './sampler.ts';
import type { TableStep } from './table-steps.ts';

export interface DdimOptions {
  /** How much of the noise is renewed at each step: from 0, nothing, to 1. */
  eta: number;
  prediction: Prediction;
  clipRange?: number | undefined;
}

/**
 * DDIM: Song et al. 2020, "Denoising diffusion implicit models" (arXiv 2010.02502), after
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_ddim.py#L342-L470
 *
 * Not here: dynamic thresholding, `use_clipped_model_output`. The reference lets a large `eta` take the root of a
 * negative number; it is refused here before the network runs.
 *
 * @throws InputError naming `eta`
 */
export async function ddim(
  plan: readonly TableStep[],
  { eta, prediction, clipRange }: DdimOptions,
  run: SamplerRun,
): Promise<Float32Array> {
  const deviations = plan.map((step) => freshNoise(step, eta));
  let { latents } = run;
  run.onStep(0, plan.length, latents);
  for (const [step, { timestep, alpha, alphaNext }] of plan.entries()) {
    const level = levelOfAlpha(alpha);
    const output = await runNetwork(run, latents, level, timestep, step);
    // The reference clips the clean latents and goes on with the noise that belongs to the unclipped ones.
    const original = clip(predictedOriginal(prediction, output, latents, level), clipRange);
    const noise = predictedNoise(prediction, output, latents, level);
    // Equation 12: x₀ as predicted, the direction that points back to x, and fresh noise.
    const deviation = deviations[step]!;
    latents = combine([Math.sqrt(alphaNext), original], [Math.sqrt(1 - alphaNext - deviation ** 2), noise]);
    if (eta > 0) latents = combine([1, latents], [deviation, run.drawNoise(latents.length)]);
    run.onStep(step + 1, plan.length, latents);
  }
  return latents;
}

/** Equation 16: the deviation of the noise that is added. */
function freshNoise({ alpha, alphaNext }: TableStep, eta: number): number {
  const deviation = eta * Math.sqrt(((1 - alphaNext) / (1 - alpha)) * (1 - alpha / alphaNext));
  if (!(deviation ** 2 <= 1 - alphaNext)) {
    throw new InputError(`eta is ${eta}, which adds more noise than a step can hold; use 0 to 1.`, 'eta');
  }
  return deviation;
}
