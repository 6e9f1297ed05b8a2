import type { CancelSignal } from '../catalog/model.ts';

/**
 * What every sampler is given. A sampler is one async function that owns the loop over the steps; everything that
 * belongs to a model (guidance, ControlNet, scaling of the input) is inside `denoise`.
 */
export interface SamplerOptions {
  /** Noise of unit variance; left as it is. */
  latents: Float32Array;
  steps: number;
  /** Predicts the noise in `latents`. `step` counts from 0. */
  denoise(latents: Float32Array, timestep: number, step: number): Promise<Float32Array>;
  /** The prediction's noise stream, after the initial latents were drawn from it. */
  drawNoise(count: number): Float32Array;
  /** Called with 0 before the first step, and after each step with how many are done. */
  onStep(step: number, steps: number): void;
  /** Asked before each step. */
  signal: Pick<CancelSignal, 'throwIfAborted'>;
}
