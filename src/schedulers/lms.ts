import type { SigmaLadder } from './ladder.ts';
import { combine, levelOfSigma, type Prediction, predictedOriginal, slopeAt } from './level.ts';
import { runNetwork, type SamplerRun } from './sampler.ts';

const order = 4;

/**
 * Linear multistep (Adams–Bashforth on uneven steps), as k-diffusion made it up; after
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_lms_discrete.py#L360-L440
 */
export async function lms(ladder: SigmaLadder, prediction: Prediction, run: SamplerRun): Promise<Float32Array> {
  const steps = ladder.timesteps.length;
  let { latents } = run;
  /** Newest first. */
  let slopes: Float32Array[] = [];
  run.onStep(0, steps, latents);
  for (const [step, timestep] of ladder.timesteps.entries()) {
    const sigma = ladder.sigmas[step]!;
    const level = levelOfSigma(sigma);
    const output = await runNetwork(run, latents, level, timestep, step);
    const original = predictedOriginal(prediction, output, latents, level);
    slopes = [slopeAt(latents, original, sigma), ...slopes].slice(0, order);
    const nodes = slopes.map((_, age) => ladder.sigmas[step - age]!);
    const weights = nodes.map((_, age) => integrateBasis(nodes, age, sigma, ladder.sigmas[step + 1]!));
    latents = combine([1, latents], ...slopes.map((slope, age) => [weights[age]!, slope] as const));
    run.onStep(step + 1, steps, latents);
  }
  return latents;
}

/**
 * The integral of the Lagrange polynomial that is 1 at `nodes[chosen]` and 0 at the others. Two Gauss points integrate
 * a cubic exactly; the reference asks a general routine for a relative error of 1e-4, which gives the same.
 */
function integrateBasis(nodes: readonly number[], chosen: number, from: number, to: number): number {
  const basis = (at: number) =>
    nodes.reduce(
      (product, node, index) => (index === chosen ? product : (product * (at - node)) / (nodes[chosen]! - node)),
      1,
    );
  const middle = (from + to) / 2;
  const half = (to - from) / 2;
  return half * (basis(middle - half / Math.sqrt(3)) + basis(middle + half / Math.sqrt(3)));
}
