/**
 * Where a run steps: the noise levels of the samplers that count in sigma, and the timestep that the network is told
 * at each. How to step is the samplers' business. After
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_euler_discrete.py#L270-L425
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_dpmsolver_multistep.py#L303-L390
 */

import { linspace, type Spacing, spacedTimesteps, trainingSigmas } from '../math/noise-schedule.ts';
import { numpyLog } from '../math/numpy-log.ts';
import { roundHalfToEven } from '../math/round.ts';

export interface SigmaLadder {
  /** In running order; one per step. */
  timesteps: readonly number[];
  /** In running order, with the level where the run ends behind them. */
  sigmas: readonly number[];
}

export interface LadderOptions {
  /** Per training step: the share of the signal's variance. */
  alphas: Float32Array;
  steps: number;
  spacing: Spacing;
  /** Added to the timesteps of the leading spacing. */
  offset: number;
  /** Spaces by Karras et al. 2022 (arXiv 2206.00364, equation 5), between these sigmas or those of the base ladder. */
  karras?: { smallest?: number | undefined; largest?: number | undefined } | undefined;
  /** Where the run ends: without noise, at the first training step, or after a last step that goes nowhere. */
  final: 'zero' | 'sigma_min' | 'last';
}

/**
 * For Euler, Heun and LMS: fractional timesteps, and a Karras spacing between the ends of the chosen base ladder.
 * `interpolation: 'log_linear'` spreads the sigmas evenly by their logarithm and leaves the timesteps as they were.
 */
export function eulerLadder(options: LadderOptions & { interpolation?: 'linear' | 'log_linear' }): SigmaLadder {
  const { alphas, steps, spacing, offset, karras, interpolation = 'linear' } = options;
  const table = trainingSigmas(alphas);
  let timesteps = spacedTimesteps(spacing, { trainingSteps: alphas.length, steps, offset, dropped: 0 });
  timesteps = timesteps.map(Math.fround);
  let sigmas =
    interpolation === 'linear' ? timesteps.map((timestep) => interpolate(table, timestep)) : logLinear(table, steps);
  if (karras) {
    sigmas = karrasSigmas(steps, karras.smallest ?? sigmas.at(-1)!, karras.largest ?? sigmas[0]!);
    timesteps = sigmas.map((sigma) => timestepOf(table, sigma));
  }
  return ladder(timesteps, sigmas, finalSigma(options, table, sigmas));
}

/** For DPM-Solver, UniPC and DEIS: whole timesteps, one spread beyond the last, and Karras over the whole table. */
export function solverLadder(options: LadderOptions): SigmaLadder {
  const { alphas, steps, spacing, offset, karras } = options;
  const table = trainingSigmas(alphas);
  if (karras) {
    const sigmas = karrasSigmas(steps, karras.smallest ?? table[0]!, karras.largest ?? table.at(-1)!);
    return ladder(
      sigmas.map((sigma) => roundHalfToEven(timestepOf(table, sigma))),
      sigmas,
      finalSigma(options, table, sigmas),
    );
  }
  const timesteps = spacedTimesteps(spacing, { trainingSteps: alphas.length, steps, offset, dropped: 1 });
  // Of 1000 steps two are rounded to the same timestep, and a step that goes nowhere divides by zero; after diffusers 0.15.
  const whole = [...new Set(timesteps.map(roundHalfToEven))];
  const sigmas = whole.map((timestep) => interpolate(table, timestep));
  return ladder(whole, sigmas, finalSigma(options, table, sigmas));
}

/**
 * The same timesteps, each once, with the noise that the training had there. diffusers up to 0.21 kept only the
 * timesteps of a Karras ladder.
 */
export function atTrainingSteps({ timesteps, sigmas }: SigmaLadder, alphas: Float32Array): SigmaLadder {
  const table = trainingSigmas(alphas);
  const once = [...new Set(timesteps)];
  return ladder(
    once,
    once.map((timestep) => table[timestep]!),
    sigmas.at(-1)!,
  );
}

function finalSigma({ final }: LadderOptions, table: Float32Array, sigmas: readonly number[]): number {
  switch (final) {
    case 'zero':
      return 0;
    case 'sigma_min':
      return table[0]!;
    case 'last':
      return sigmas.at(-1)!;
  }
}

function ladder(timesteps: readonly number[], sigmas: readonly number[], final: number): SigmaLadder {
  const levels = sigmas.length > timesteps.length ? sigmas : [...sigmas, final];
  return { timesteps: timesteps.map(Math.fround), sigmas: levels.map(Math.fround) };
}

/** `count` sigmas from the largest to the smallest, evenly spread by their seventh root. */
export function karrasSigmas(count: number, smallest: number, largest: number): number[] {
  const rho = 7;
  const first = largest ** (1 / rho);
  const last = smallest ** (1 / rho);
  const gap = count === 1 ? 0 : 1 / (count - 1);
  return Array.from({ length: count }, (_, index) => {
    const ramp = index > 0 && index === count - 1 ? 1 : index * gap;
    return (first + ramp * (last - first)) ** rho;
  });
}

/** One sigma more than steps, so no final one follows. */
function logLinear(table: Float32Array, steps: number): number[] {
  return [...linspace(numpyLog(table.at(-1)!), numpyLog(table[0]!), steps + 1).map(Math.exp)];
}

function interpolate(table: Float32Array, position: number): number {
  const low = Math.min(Math.floor(position), table.length - 1);
  const high = Math.min(low + 1, table.length - 1);
  return table[low]! + (position - low) * (table[high]! - table[low]!);
}

/** The fractional training step whose noise is `sigma`, by its logarithm; float32 as NumPy 1 promotes the operands. */
function timestepOf(table: Float32Array, sigma: number): number {
  const logs = table.map(numpyLog);
  const log = Math.fround(Math.log(Math.max(sigma, 1e-10)));
  const above = logs.findIndex((value) => value > log);
  const low = Math.min(Math.max((above < 0 ? logs.length : above) - 1, 0), logs.length - 2);
  const gap = Math.fround(logs[low]! - logs[low + 1]!);
  const weight = Math.min(Math.max(Math.fround(Math.fround(logs[low]! - log) / gap), 0), 1);
  return Math.fround(1 - weight) * low + weight * (low + 1);
}
