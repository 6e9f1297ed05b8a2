import { InputError } from '../base/errors.ts';
import { linspace } from '../math/noise-schedule.ts';
import type { SigmaLadder } from './ladder.ts';

/** Stable Diffusion's, scaled linear. */
const betaStart = 0.00085;
const betaEnd = 0.012;
const trainingSteps = 1000;

export interface ComfyStart extends SigmaLadder {
  /** Latents begin as the source picture's plus this times noise; also where nothing of the source should stay. */
  noiseScale: number;
}

/**
 * ComfyUI's scheduler `karras` with a `denoise` below 1, which means: the last `steps` of a longer ladder. After
 * https://github.com/comfyanonymous/ComfyUI/blob/005e370254d42fcc07904b607b2354dc091f814f/comfy/model_sampling.py#L46-L104
 * and `KSampler.set_steps` and `max_denoise` of comfy/samplers.py there. Its noise table is computed in double, the
 * network is told the nearest whole timestep, and the ladder ends without noise.
 *
 * Not here: other schedulers, other noise tables, v-prediction; `denoise` 0, which leaves the source as it is and has
 * no ladder.
 *
 * @throws InputError naming `steps` or `denoise`
 */
export function comfyKarrasLadder(steps: number, denoise: number): ComfyStart {
  if (!Number.isInteger(steps) || steps < 1) {
    throw new InputError(`steps is ${steps}; ask for a whole number of steps, at least 1.`, 'steps');
  }
  if (!(denoise > 0 && denoise <= 1)) {
    throw new InputError(`denoise is ${denoise}; use more than 0, and at most 1.`, 'denoise');
  }
  const { table, logs } = noiseTable();
  const points = denoise > 0.9999 ? steps : Math.floor(steps / denoise);
  const sigmas = karrasInSingle(points, table[0]!, table.at(-1)!).slice(-steps);
  const [largest] = sigmas as [number];
  const whole = table.at(-1)! - largest <= 1e-5 * largest;
  return {
    timesteps: sigmas.map((sigma) => nearest(logs, single(Math.log(sigma)))),
    sigmas: [...sigmas, 0],
    noiseScale: whole ? Math.sqrt(1 + largest ** 2) : largest,
  };
}

const single = Math.fround;

function noiseTable(): { table: Float32Array; logs: Float32Array } {
  const [first, last] = [Math.sqrt(betaStart), Math.sqrt(betaEnd)];
  let alpha = 1;
  const sigmas = Float64Array.from({ length: trainingSteps }, (_, step) => {
    alpha *= 1 - (first + ((last - first) * step) / (trainingSteps - 1)) ** 2;
    return Math.sqrt((1 - alpha) / alpha);
  });
  return { table: Float32Array.from(sigmas), logs: Float32Array.from(sigmas, Math.log) };
}

/** As k-diffusion's `get_sigmas_karras`, whose tensors are float32: the Brownian tree sees the sixth decimal. */
function karrasInSingle(points: number, smallest: number, largest: number): number[] {
  const rho = 7;
  const first = largest ** (1 / rho);
  const way = single(smallest ** (1 / rho) - first);
  return Array.from(linspace(0, 1, points), (ramp) => single(single(single(ramp * way) + single(first)) ** rho));
}

function nearest(values: Float32Array, value: number): number {
  let best = 0;
  for (let index = 1; index < values.length; index++) {
    if (Math.abs(values[index]! - value) < Math.abs(values[best]! - value)) best = index;
  }
  return best;
}
