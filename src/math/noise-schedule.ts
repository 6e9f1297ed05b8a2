/**
 * How much noise a latent holds at each training step, and which of these steps a run visits. Tables and spacings are
 * those of https://github.com/huggingface/diffusers/tree/v0.29.2/src/diffusers/schedulers, whose sources repeat them
 * in every scheduler; `src/schedulers/ladder.ts` makes sigma ladders from them.
 */

import { roundHalfToEven } from './round.ts';

/** The part of a published `scheduler_config.json` that describes the noise. */
export interface NoiseConfig {
  betaSchedule: 'linear' | 'scaled_linear' | 'squaredcos_cap_v2' | 'exp';
  /** Used by the two linear schedules alone, like `betaEnd`. */
  betaStart: number;
  betaEnd: number;
  trainingSteps: number;
  /** One variance per training step, in place of a formula. */
  trainedBetas?: readonly number[] | undefined;
  /** Shifts the table so that the last training step holds no signal at all (arXiv 2305.08891, algorithm 1). */
  zeroTerminalSnr?: boolean | undefined;
}

/** Stable Diffusion 1.x and SDXL, as in the `scheduler/` folders of their repositories. */
export const stableDiffusionNoise: NoiseConfig = {
  betaSchedule: 'scaled_linear',
  betaStart: 0.00085,
  betaEnd: 0.012,
  trainingSteps: 1000,
};

/** How timesteps are spread over the training steps (arXiv 2305.08891, table 2). */
export type Spacing = 'leading' | 'linspace' | 'trailing';

/** Variance added at each training step, float32. */
export function betas(config: NoiseConfig): Float32Array {
  const { betaSchedule, betaStart, betaEnd, trainingSteps, trainedBetas } = config;
  if (trainedBetas) return Float32Array.from(trainedBetas);
  switch (betaSchedule) {
    case 'linear':
      return linspace(betaStart, betaEnd, trainingSteps);
    case 'scaled_linear':
      return linspace(Math.sqrt(betaStart), Math.sqrt(betaEnd), trainingSteps).map((root) => root * root);
    case 'squaredcos_cap_v2':
      // Nichol and Dhariwal 2021, "Improved denoising diffusion probabilistic models", equation 17.
      return betasOf((time) => Math.cos((((time + 0.008) / 1.008) * Math.PI) / 2) ** 2, trainingSteps);
    case 'exp':
      return betasOf((time) => Math.exp(-12 * time), trainingSteps);
  }
}

/** Share of the signal's variance that is left after each training step: the running product of `1 − β`, float32. */
export function alphasCumprod(config: NoiseConfig): Float32Array {
  const table = runningProduct(betas(config).map((beta) => 1 - beta));
  return config.zeroTerminalSnr ? runningProduct(withoutTerminalSignal(table)) : table;
}

/**
 * Standard deviation of the noise relative to the signal at each training step, float32. A step without any signal
 * counts as one with the smallest half float, as in the originals: its sigma would be infinite.
 */
export function trainingSigmas(alphas: Float32Array): Float32Array {
  return alphas.map((alpha) => {
    const signal = alpha === 0 ? 2 ** -24 : alpha;
    return Math.sqrt(Math.fround(Math.fround(1 - signal) / signal));
  });
}

/**
 * Timesteps in running order. Solvers that keep one point for the end of the run ask for `dropped: 1`: one more is
 * spread, and the smallest is left out. Those of `linspace` are not rounded.
 */
export function spacedTimesteps(
  spacing: Spacing,
  { trainingSteps, steps, offset, dropped }: { trainingSteps: number; steps: number; offset: number; dropped: 0 | 1 },
): number[] {
  const points = steps + dropped;
  const descending = (at: (index: number) => number) => Array.from({ length: steps }, (_, k) => at(points - 1 - k));
  switch (spacing) {
    case 'leading': {
      const ratio = Math.floor(trainingSteps / points);
      return descending((index) => index * ratio + offset);
    }
    case 'linspace': {
      const gap = points === 1 ? 0 : (trainingSteps - 1) / (points - 1);
      return descending((index) => (index > 0 && index === points - 1 ? trainingSteps - 1 : index * gap));
    }
    case 'trailing': {
      // The step as numpy.arange applies it, once through a float: it decides where halves are rounded to.
      const step = trainingSteps - trainingSteps / steps - trainingSteps;
      return Array.from({ length: steps }, (_, index) => roundHalfToEven(trainingSteps + index * step) - 1);
    }
  }
}

function betasOf(alphaBar: (time: number) => number, trainingSteps: number): Float32Array {
  return Float32Array.from({ length: trainingSteps }, (_, step) =>
    Math.min(1 - alphaBar((step + 1) / trainingSteps) / alphaBar(step / trainingSteps), 0.999),
  );
}

/** torch.cumprod carries the product in double on a CPU, where the originals computed it, and rounds each entry. */
function runningProduct(factors: Float32Array): Float32Array {
  let product = 1;
  return factors.map((factor) => {
    product *= factor;
    return product;
  });
}

/** The factors `1 − β` of a table that was shifted to end at zero and stretched to begin where it began. */
function withoutTerminalSignal(table: Float32Array): Float32Array {
  const roots = table.map(Math.sqrt);
  const first = roots[0]!;
  const last = roots.at(-1)!;
  const stretch = Math.fround(first / Math.fround(first - last));
  const shifted = roots.map((root) => Math.fround(Math.fround(root - last) * stretch) ** 2);
  // The originals go through β once more, which rounds the factors.
  return shifted.map((alpha, index) => {
    const factor = index === 0 ? alpha : Math.fround(alpha / shifted[index - 1]!);
    return 1 - Math.fround(1 - factor);
  });
}

/**
 * As torch.linspace computes it in float32 on a CPU since PyTorch 2: each value from the nearer end of the range, with
 * a product that is not rounded before it is added. Older releases count in groups whose size depends on the machine,
 * and end in a neighbouring float32 for a quarter of the values.
 */
export function linspace(start: number, end: number, count: number): Float32Array {
  const first = Math.fround(start);
  const last = Math.fround(end);
  const step = Math.fround(Math.fround(last - first) / (count - 1));
  return Float32Array.from({ length: count }, (_, index) =>
    index < Math.floor(count / 2) ? first + step * index : last - step * (count - 1 - index),
  );
}
