import { numpyLog } from '../math/numpy-log.ts';
import type { SigmaLadder } from './ladder.ts';
import { combine, levelOfRatio, type Prediction, predictedNoise } from './level.ts';
import { runNetwork, type SamplerRun } from './sampler.ts';

export interface DeisOptions {
  prediction: Prediction;
  order: 1 | 2 | 3;
  /** Ends runs of fewer than 15 steps with steps of second and first order. */
  lowerOrderFinal: boolean;
}

/**
 * DEIS, multistep in log ρ: Zhang and Chen 2022, "Fast sampling of diffusion models with exponential integrator"
 * (arXiv 2204.13902), after
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_deis_multistep.py#L415-L600
 *
 * Not here: dynamic thresholding. The noise is taken for a polynomial in ln σ through the last outputs, and
 * integrated over σ; at order 1 it is constant, which makes a DDIM step.
 */
export async function deis(ladder: SigmaLadder, options: DeisOptions, run: SamplerRun): Promise<Float32Array> {
  const steps = ladder.timesteps.length;
  let { latents } = run;
  /** Newest first. */
  let outputs: Float32Array[] = [];
  run.onStep(0, steps, latents);
  for (const [step, timestep] of ladder.timesteps.entries()) {
    const sigma = ladder.sigmas[step]!;
    const current = levelOfRatio(sigma);
    const output = await runNetwork(run, latents, current, timestep, step);
    outputs = [predictedNoise(options.prediction, output, latents, current), ...outputs].slice(0, 3);

    const end = ladder.sigmas[step + 1]!;
    const next = levelOfRatio(end);
    const used = outputs.slice(0, orderOf(options, step, steps));
    const nodes = used.map((_, age) => ladder.sigmas[step - age]!);
    const terms = used.map((values, age) => {
      // The nodes in cyclic order, the one that the weight belongs to first.
      const turned = [...nodes.slice(age), ...nodes.slice(0, age)];
      return [next.signal * (integral(turned, end) - integral(turned, sigma)), values] as const;
    });
    latents = combine([next.signal / current.signal, latents], ...terms);
    run.onStep(step + 1, steps, latents);
  }
  return latents;
}

function orderOf({ order, lowerOrderFinal }: DeisOptions, step: number, steps: number): number {
  const left = steps - step;
  return Math.min(order, step + 1, lowerOrderFinal && steps < 15 ? left : 3);
}

/**
 * The antiderivative at `sigma` of the Lagrange polynomial in ln σ that is 1 at the first node and 0 at the others.
 * Differences of its values lose so many digits that the reference's float32 and its logarithm show in the latents, at
 * order 3 with up to 1e-3; so this rounds where the reference rounds.
 */
function integral(nodes: readonly number[], sigma: number): number {
  const [own, a, b] = nodes.map((node) => numpyLog(ratio(node))) as [number, number?, number?];
  const at = ratio(sigma);
  const log = numpyLog(at);
  if (a === undefined) return at;
  if (b === undefined) return single(single(at * single(single(log - a) - 1)) / single(own - a));
  const terms = [single(a * single(single(b - log) + 1)), -single(b * log), b, single(log * log), -single(2 * log), 2];
  const sum = terms.reduce((total, term) => single(total + term));
  return single(single(at * sum) / single(single(own - a) * single(own - b)));
}

const single = Math.fround;

/** σ, after the detour over unit variance that the reference takes. */
function ratio(sigma: number): number {
  const { signal, noise } = levelOfRatio(sigma);
  return single(noise / signal);
}
