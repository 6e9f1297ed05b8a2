import type { SigmaLadder } from './ladder.ts';
import { clip, combine, follow, levelOfSigma, type Prediction, predictedOriginal, slopeAt } from './level.ts';
import { runNetwork, type SamplerRun } from './sampler.ts';

/**
 * Heun's method: Karras et al. 2022 (arXiv 2206.00364), algorithm 1 without churn, after
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_heun_discrete.py#L366-L474
 * Each step but the last runs the network twice, the second time at the level and timestep of the next step.
 */
export async function heun(
  ladder: SigmaLadder,
  { prediction, clipRange }: { prediction: Prediction; clipRange?: number | undefined },
  run: SamplerRun,
): Promise<Float32Array> {
  const steps = ladder.timesteps.length;
  let calls = 0;
  let { latents } = run;

  async function slope(at: Float32Array, step: number): Promise<Float32Array> {
    const sigma = ladder.sigmas[step]!;
    const level = levelOfSigma(sigma);
    const output = await runNetwork(run, at, level, ladder.timesteps[step]!, calls++);
    const original = clip(predictedOriginal(prediction, output, at, level), clipRange);
    return slopeAt(at, original, sigma);
  }

  run.onStep(0, steps, latents);
  for (let step = 0; step < steps; step++) {
    const distance = ladder.sigmas[step + 1]! - ladder.sigmas[step]!;
    const first = await slope(latents, step);
    const predicted = follow(latents, first, distance);
    if (step < steps - 1) {
      const second = await slope(predicted, step + 1);
      latents = follow(latents, combine([1 / 2, first], [1 / 2, second]), distance);
    } else {
      latents = predicted;
    }
    run.onStep(step + 1, steps, latents);
  }
  return latents;
}
