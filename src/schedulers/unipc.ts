import type { SigmaLadder } from './ladder.ts';
import { combine, halfLogSnr, levelOfRatio, type Prediction, predictedNoise, predictedOriginal } from './level.ts';
import { runNetwork, type SamplerRun } from './sampler.ts';
import { pointWeights } from './unipc-weights.ts';

export interface UniPcOptions {
  prediction: Prediction;
  order: 1 | 2 | 3;
  /** B(h) of the paper: h, or eʰ − 1. */
  solver: 'bh1' | 'bh2';
  /** Integrates the clean latents; else the noise. */
  predictOriginal: boolean;
  /** Lowers the order towards the end of a run of any length. */
  lowerOrderFinal: boolean;
  /** Steps, from 0, that the next network run does not correct. */
  uncorrectedSteps: readonly number[];
}

/**
 * UniPC: Zhao et al. 2023, "UniPC: a unified predictor-corrector framework" (arXiv 2302.04867), algorithms 1 and 2 in
 * their B(h) form, after
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_unipc_multistep.py#L470-L905
 *
 * Not here: dynamic thresholding, another predictor (`solver_p`). Each network run first corrects the step that led to
 * it, with the output found at its uncorrected end, and then predicts the next.
 */
export async function uniPc(ladder: SigmaLadder, options: UniPcOptions, run: SamplerRun): Promise<Float32Array> {
  const { prediction, lowerOrderFinal } = options;
  const { timesteps, sigmas } = ladder;
  const predicted = options.predictOriginal ? predictedOriginal : predictedNoise;
  let { latents } = run;
  /** Where the last step began, corrected. */
  let start = latents;
  /** Newest first. */
  let outputs: Float32Array[] = [];
  let order = 0;

  run.onStep(0, timesteps.length, latents);
  for (const [step, timestep] of timesteps.entries()) {
    const current = levelOfRatio(sigmas[step]!);
    const raw = await runNetwork(run, latents, current, timestep, step);
    const output = predicted(prediction, raw, latents, current);
    if (step > 0 && !options.uncorrectedSteps.includes(step - 1)) {
      latents = move(sigmas, step - 1, start, outputs.slice(0, order), options, output);
    }
    outputs = [output, ...outputs].slice(0, options.order);
    order = Math.min(options.order, step + 1, lowerOrderFinal ? timesteps.length - step : options.order);
    start = latents;
    latents = move(sigmas, step, start, outputs.slice(0, order), options);
    run.onStep(step + 1, timesteps.length, latents);
  }
  return latents;
}

/**
 * From `sigmas[step]` to the next, with the outputs found there and before, newest first; the corrector also knows the
 * one at the end.
 */
function move(
  sigmas: readonly number[],
  step: number,
  latents: Float32Array,
  outputs: readonly Float32Array[],
  { predictOriginal, solver }: UniPcOptions,
  atEnd?: Float32Array,
): Float32Array {
  const [from, to] = [levelOfRatio(sigmas[step]!), levelOfRatio(sigmas[step + 1]!)];
  const lambda = halfLogSnr(from);
  const h = Math.fround(halfLogSnr(to) - lambda);
  const signed = predictOriginal ? -h : h;
  const grown = Math.fround(Math.expm1(signed));
  const scale = -(predictOriginal ? to.signal : to.noise);
  const kept = predictOriginal ? to.noise / from.noise : to.signal / from.signal;

  // Differences of outputs over their distance in λ, in units of h; the end of the step lies at 1.
  const known = outputs.slice(1).map((values, index) => ({
    distance: Math.fround(Math.fround(halfLogSnr(levelOfRatio(sigmas[step - 1 - index]!)) - lambda) / h),
    values,
  }));
  const points = atEnd ? [...known, { distance: 1, values: atEnd }] : known;
  const bound = solver === 'bh1' ? signed : grown;
  const weights = pointWeights(
    points.map(({ distance }) => distance),
    signed,
    bound,
  );
  const [newest] = outputs as [Float32Array];
  return combine(
    [kept, latents],
    [scale * grown, newest],
    ...points.flatMap(({ distance, values }, index) => {
      const weight = (scale * bound * weights[index]!) / distance;
      return [[weight, values] as const, [-weight, newest] as const];
    }),
  );
}
