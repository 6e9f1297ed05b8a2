/**
 * How much noise a latent holds at each training step, and which of these steps a run visits. Tables and defaults are
 * those of https://github.com/huggingface/diffusers/blob/v0.15.1/src/diffusers/schedulers/scheduling_ddim.py#L131-L200
 *
 * Not here: sigma ladders, the Karras spacing, trained betas, and the spacings `linspace` and `trailing`.
 */

/** The part of a published `scheduler_config.json` that describes the noise. */
export interface NoiseConfig {
  betaSchedule: 'linear' | 'scaled_linear' | 'squaredcos_cap_v2';
  /** Not used by `squaredcos_cap_v2`. */
  betaStart: number;
  betaEnd: number;
  trainingSteps: number;
  /** Added to every timestep of the leading spacing. */
  stepsOffset: number;
  /** What lies before timestep 0: no noise at all, or that of timestep 0. */
  setAlphaToOne: boolean;
}

/** Stable Diffusion 1.x, as in the `scheduler/` folder of its repository. */
export const stableDiffusionNoise: NoiseConfig = {
  betaSchedule: 'scaled_linear',
  betaStart: 0.00085,
  betaEnd: 0.012,
  trainingSteps: 1000,
  stepsOffset: 1,
  setAlphaToOne: false,
};

/** Variance added at each training step, float32. */
export function betas(config: NoiseConfig): Float32Array {
  const { betaSchedule, betaStart, betaEnd, trainingSteps } = config;
  switch (betaSchedule) {
    case 'linear':
      return linspace(betaStart, betaEnd, trainingSteps);
    case 'scaled_linear':
      return linspace(Math.sqrt(betaStart), Math.sqrt(betaEnd), trainingSteps).map((root) => root * root);
    case 'squaredcos_cap_v2': {
      // Nichol and Dhariwal 2021, "Improved denoising diffusion probabilistic models", equation 17.
      const alphaBar = (time: number) => Math.cos((((time + 0.008) / 1.008) * Math.PI) / 2) ** 2;
      return Float32Array.from({ length: trainingSteps }, (_, step) =>
        Math.min(1 - alphaBar((step + 1) / trainingSteps) / alphaBar(step / trainingSteps), 0.999),
      );
    }
  }
}

/**
 * Share of the signal's variance that is left after each training step: the running product of `1 − β`, float32.
 * torch.cumprod carries the product in double on a CPU, where the originals computed it, and rounds each entry.
 */
export function alphasCumprod(config: NoiseConfig): Float32Array {
  let product = 1;
  return betas(config).map((beta) => {
    product *= Math.fround(1 - beta);
    return product;
  });
}

/** Timesteps in running order, evenly spaced from the offset upwards ("leading", arXiv 2305.08891, table 2). */
export function leadingTimesteps(config: NoiseConfig, steps: number): number[] {
  const ratio = Math.floor(config.trainingSteps / steps);
  return Array.from({ length: steps }, (_, index) => (steps - 1 - index) * ratio + config.stepsOffset);
}

/** As torch.linspace: from both ends towards the middle, in float32. */
function linspace(start: number, end: number, count: number): Float32Array {
  const first = Math.fround(start);
  const last = Math.fround(end);
  const step = Math.fround((last - first) / (count - 1));
  return Float32Array.from({ length: count }, (_, index) =>
    index < Math.floor(count / 2) ? first + Math.fround(step * index) : last - Math.fround(step * (count - 1 - index)),
  );
}
