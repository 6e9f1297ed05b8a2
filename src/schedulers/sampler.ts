/**
 * What every sampler is given, and what it may rely on. A sampler is one async function that owns the loop over the
 * steps; everything that belongs to a model (guidance, ControlNet, prompts) is inside `denoise`.
 *
 * Who scales what: the caller multiplies noise of unit variance by `initialNoise` (from-config.ts) before the run; the
 * sampler scales what the network sees. Latents of the sigma samplers (Euler, Heun, LMS) grow with the noise and are
 * divided by √(σ² + 1) for the network; those of the others keep unit variance and go in as they are.
 */
import type { CancelSignal } from '../catalog/model.ts';
import type { Level } from './level.ts';

export interface SamplerRun {
  /** Where the run starts, `initialNoise` included; left as it is. */
  latents: Float32Array;
  /**
   * Runs the network. `input` is already scaled; `latents` is the same before scaling, for those who watch. `call`
   * counts network runs from 0: Heun and PNDM need more of them than steps.
   */
  denoise(input: Float32Array, timestep: number, call: number, latents: Float32Array): Promise<Float32Array>;
  /** The prediction's noise stream, after the initial latents were drawn from it. */
  drawNoise(count: number): Float32Array;
  /** Called with 0 before the first step, and after each step with how many are done. */
  onStep(step: number, steps: number, latents: Float32Array): void;
  /** Asked before each network run. */
  signal: Pick<CancelSignal, 'throwIfAborted'>;
}

/** One network run at `level`. @throws CanceledError when the prediction was canceled */
export function runNetwork(
  run: Pick<SamplerRun, 'denoise' | 'signal'>,
  latents: Float32Array,
  level: Level,
  timestep: number,
  call: number,
): Promise<Float32Array> {
  run.signal.throwIfAborted();
  const input = level.inputScale === 1 ? latents : latents.map((value) => value * level.inputScale);
  return run.denoise(input, timestep, call, latents);
}
