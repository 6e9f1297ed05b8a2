import { InputError } from '../base/errors.ts';
import { alphasCumprod, leadingTimesteps, type NoiseConfig } from '../math/noise-schedule.ts';
import type { SamplerOptions } from './sampler.ts';

/**
 * DDIM: Song et al. 2020, "Denoising diffusion implicit models" (arXiv 2010.02502), after
 * https://github.com/huggingface/diffusers/blob/v0.15.1/src/diffusers/schedulers/scheduling_ddim.py#L199-L370
 *
 * Not here: `clip_sample`, thresholding, the prediction types `sample` and `v_prediction`, and spacings other than
 * leading. The reference lets a large `eta` take the root of a negative number, and 1000 steps read past the end of
 * the table after the first network run; both are refused here before anything runs.
 */
export async function ddim(config: NoiseConfig, options: SamplerOptions & { eta: number }): Promise<Float32Array> {
  const { steps, denoise, drawNoise, onStep, signal } = options;
  const plan = planSteps(config, steps, options.eta);
  let latents = options.latents;

  onStep(0, steps);
  for (const [step, { timestep, alpha, alphaNext, sigma }] of plan.entries()) {
    signal.throwIfAborted();
    const epsilon = await denoise(latents, timestep, step);
    const next = new Float32Array(latents.length);
    // Equation 12: x₀ as predicted, the direction that points back to x, and fresh noise.
    const direction = Math.sqrt(1 - alphaNext - sigma ** 2);
    for (let index = 0; index < next.length; index++) {
      const original = (latents[index]! - Math.sqrt(1 - alpha) * epsilon[index]!) / Math.sqrt(alpha);
      next[index] = Math.sqrt(alphaNext) * original + direction * epsilon[index]!;
    }
    if (options.eta > 0) {
      const noise = drawNoise(next.length);
      for (let index = 0; index < next.length; index++) next[index] = next[index]! + sigma * noise[index]!;
    }
    latents = next;
    onStep(step + 1, steps);
  }
  return latents;
}

interface Step {
  timestep: number;
  /** Cumulative products of `1 − β` at this timestep and at the one that the step leads to. */
  alpha: number;
  alphaNext: number;
  /** Standard deviation of the noise that is added. */
  sigma: number;
}

/** @throws InputError naming `steps` or `eta` */
function planSteps(config: NoiseConfig, steps: number, eta: number): Step[] {
  const { trainingSteps } = config;
  if (!Number.isInteger(steps) || steps < 1) {
    throw new InputError(`steps is ${steps}; ask for a whole number of steps, at least 1.`, 'steps');
  }
  if (steps > trainingSteps) {
    // The reference's own words, which callers may already look for.
    throw new InputError(
      `\`num_inference_steps\`: ${steps} cannot be larger than \`self.config.train_timesteps\`: ${trainingSteps} as ` +
        `the unet model trained with this scheduler can only handle maximal ${trainingSteps} timesteps.`,
      'steps',
    );
  }
  const timesteps = leadingTimesteps(config, steps);
  if (timesteps[0]! >= trainingSteps) {
    throw new InputError(
      `steps is ${steps}; it would start at timestep ${timesteps[0]}, but the last one is ${trainingSteps - 1}. ` +
        `Ask for at most ${trainingSteps - config.stepsOffset} steps.`,
      'steps',
    );
  }
  const alphas = alphasCumprod(config);
  const finalAlpha = config.setAlphaToOne ? 1 : alphas[0]!;
  const ratio = Math.floor(trainingSteps / steps);

  return timesteps.map((timestep) => {
    const alpha = alphas[timestep]!;
    const alphaNext = timestep >= ratio ? alphas[timestep - ratio]! : finalAlpha;
    // Equation 16.
    const sigma = eta * Math.sqrt(((1 - alphaNext) / (1 - alpha)) * (1 - alpha / alphaNext));
    if (!(sigma ** 2 <= 1 - alphaNext)) {
      throw new InputError(`eta is ${eta}, which adds more noise than a step can hold; use 0 to 1.`, 'eta');
    }
    return { timestep, alpha, alphaNext, sigma };
  });
}
