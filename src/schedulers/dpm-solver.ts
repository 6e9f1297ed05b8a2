import { stepWeights } from './dpm-solver-weights.ts';
import type { SigmaLadder } from './ladder.ts';
import { combine, halfLogSnr, levelOfRatio, type Prediction, predictedNoise, predictedOriginal } from './level.ts';
import { runNetwork, type SamplerRun } from './sampler.ts';

export interface DpmSolverOptions {
  prediction: Prediction;
  /** `++` integrates the clean latents, the others the noise; `sde-` renews noise at each step. */
  algorithm: 'dpmsolver++' | 'sde-dpmsolver++' | 'dpmsolver' | 'sde-dpmsolver';
  order: 1 | 2 | 3;
  /** How a second-order step uses the last two outputs. */
  solver: 'midpoint' | 'heun';
  /** Ends runs of fewer than 15 steps with steps of second and first order. */
  lowerOrderFinal: boolean;
  /** Ends runs of any length with a step of first order, which a ladder that ends without noise needs anyway. */
  eulerAtFinal: boolean;
}

/**
 * DPM-Solver multistep, "2M" at order 2: Lu et al. 2022, "DPM-Solver++" (arXiv 2211.01095), algorithm 2, and
 * "DPM-Solver" (arXiv 2206.00927), after
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_dpmsolver_multistep.py#L595-L1010
 *
 * Not here: dynamic thresholding, networks that predict a variance, the order 3 for the `sde-` algorithms (the
 * reference has none).
 */
export async function dpmSolver(
  ladder: SigmaLadder,
  options: DpmSolverOptions,
  run: SamplerRun,
): Promise<Float32Array> {
  const { algorithm, prediction } = options;
  const steps = ladder.timesteps.length;
  const predicted = algorithm.endsWith('++') ? predictedOriginal : predictedNoise;
  let { latents } = run;
  /** Newest first. */
  let outputs: Float32Array[] = [];
  let lambdas: number[] = [];

  run.onStep(0, steps, latents);
  for (const [step, timestep] of ladder.timesteps.entries()) {
    const next = levelOfRatio(ladder.sigmas[step + 1]!);
    const current = levelOfRatio(ladder.sigmas[step]!);
    const output = await runNetwork(run, latents, current, timestep, step);
    outputs = [predicted(prediction, output, latents, current), ...outputs].slice(0, 3);
    lambdas = [halfLogSnr(current), ...lambdas].slice(0, 3);

    const h = Math.fround(halfLogSnr(next) - lambdas[0]!);
    const weights = stepWeights(algorithm, h, current, next);
    const terms: [number, Float32Array][] = [
      [weights.latents, latents],
      [weights.output, outputs[0]!],
    ];
    const order = orderOf(options, step, steps, next.noise);
    if (order >= 2) {
      const newer = Math.fround(lambdas[0]! - lambdas[1]!) / h;
      const slope = combine([1 / newer, outputs[0]!], [-1 / newer, outputs[1]!]);
      if (order === 2) {
        terms.push([options.solver === 'heun' ? weights.slope : weights.output / 2, slope]);
      } else {
        const older = Math.fround(lambdas[1]! - lambdas[2]!) / h;
        const before = combine([1 / older, outputs[1]!], [-1 / older, outputs[2]!]);
        const bend = combine([1 / (newer + older), slope], [-1 / (newer + older), before]);
        terms.push([weights.slope, combine([1, slope], [newer, bend])], [weights.curvature, bend]);
      }
    }
    if (algorithm.startsWith('sde-')) terms.push([weights.noise, run.drawNoise(latents.length)]);
    latents = combine(...terms);
    run.onStep(step + 1, steps, latents);
  }
  return latents;
}

function orderOf(options: DpmSolverOptions, step: number, steps: number, end: number): number {
  const { lowerOrderFinal, eulerAtFinal } = options;
  const left = steps - step;
  const fewSteps = lowerOrderFinal && steps < 15;
  if (left === 1 && (fewSteps || eulerAtFinal || end === 0)) return 1;
  return Math.min(options.order, step + 1, left === 2 && fewSteps ? 2 : 3);
}
