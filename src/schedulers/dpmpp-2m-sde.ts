import type { SigmaLadder } from './ladder.ts';
import { combine, levelOfSigma, predictedOriginal } from './level.ts';
import { runNetwork, type SamplerRun } from './sampler.ts';

/**
 * ComfyUI's `dpmpp_2m_sde`: DPM-Solver++(2M) on the stochastic equation, in sigma coordinates, midpoint rule, with all
 * of the noise renewed (`eta` 1). Made up by k-diffusion, after
 * https://github.com/crowsonkb/k-diffusion/blob/v0.1.1/k_diffusion/sampling.py#L610-L652
 * diffusers' `sde-dpmsolver++` is the same step in other coordinates, but draws independent noise.
 *
 * Not here: other values of `eta`, the rule `heun`, networks that predict something else than the noise.
 *
 * `noiseBetween` is the increment of a Brownian motion in sigma, scaled to unit variance (math/brownian-tree.ts); a
 * step that ends without noise asks for none.
 */
export async function dpmpp2mSde(
  ladder: SigmaLadder,
  noiseBetween: (sigma: number, next: number) => Float32Array,
  run: Omit<SamplerRun, 'drawNoise'>,
): Promise<Float32Array> {
  const steps = ladder.timesteps.length;
  let { latents } = run;
  let last: { original: Float32Array; h: number } | undefined;
  run.onStep(0, steps, latents);
  for (const [step, timestep] of ladder.timesteps.entries()) {
    const sigma = ladder.sigmas[step]!;
    const next = ladder.sigmas[step + 1]!;
    const level = levelOfSigma(sigma);
    const output = await runNetwork(run, latents, level, timestep, step);
    const original = predictedOriginal('epsilon', output, latents, level);
    if (next === 0) {
      latents = original;
    } else {
      const h = Math.log(sigma / next);
      const renewed = -Math.expm1(-2 * h);
      const terms: [number, Float32Array][] = [
        [(next / sigma) * Math.exp(-h), latents],
        [renewed, original],
        [next * Math.sqrt(renewed), noiseBetween(sigma, next)],
      ];
      if (last) {
        const half = (renewed / 2) * (h / last.h);
        terms.push([half, original], [-half, last.original]);
      }
      latents = combine(...terms);
      last = { original, h };
    }
    run.onStep(step + 1, steps, latents);
  }
  return latents;
}
