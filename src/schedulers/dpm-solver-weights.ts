import type { DpmSolverOptions } from './dpm-solver.ts';
import type { Level } from './level.ts';

const single = Math.fround;

/** Of one step of DPM-Solver: what the latents, the outputs' differences and fresh noise are multiplied with. */
export interface StepWeights {
  latents: number;
  /** Of the last output; half of it is the midpoint rule's weight of the slope. */
  output: number;
  /** Of the outputs' first and second derivative. */
  slope: number;
  curvature: number;
  noise: number;
}

/** In float32 where digits cancel, as in the reference. */
export function stepWeights(
  algorithm: DpmSolverOptions['algorithm'],
  h: number,
  current: Level,
  next: Level,
): StepWeights {
  switch (algorithm) {
    case 'dpmsolver++': {
      const shrunk = single(single(Math.exp(-h)) - 1);
      return {
        latents: next.noise / current.noise,
        output: -next.signal * shrunk,
        slope: next.signal * single(single(shrunk / h) + 1),
        curvature: -next.signal * single(single(single(shrunk + h) / single(h ** 2)) - 0.5),
        noise: 0,
      };
    }
    case 'dpmsolver': {
      const grown = single(single(Math.exp(h)) - 1);
      return {
        latents: next.signal / current.signal,
        output: -next.noise * grown,
        slope: -next.noise * single(single(grown / h) - 1),
        curvature: -next.noise * single(single(single(grown - h) / single(h ** 2)) - 0.5),
        noise: 0,
      };
    }
    case 'sde-dpmsolver++': {
      const renewed = single(1 - single(Math.exp(-2 * h)));
      return {
        latents: (next.noise / current.noise) * Math.exp(-h),
        output: next.signal * renewed,
        slope: next.signal * single(single(renewed / (-2 * h)) + 1),
        curvature: Number.NaN,
        noise: next.noise * Math.sqrt(renewed),
      };
    }
    case 'sde-dpmsolver': {
      const grown = single(single(Math.exp(h)) - 1);
      return {
        latents: next.signal / current.signal,
        output: -2 * next.noise * grown,
        slope: -2 * next.noise * single(single(grown / h) - 1),
        curvature: Number.NaN,
        noise: next.noise * Math.sqrt(single(single(Math.exp(2 * h)) - 1)),
      };
    }
  }
}
