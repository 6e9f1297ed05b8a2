/**
 * Latents at a level of noise: what a network's output says about them, and how they move. Values are float32, weights
 * are computed in double and rounded where the comment says so.
 */

/** What a network was trained to return. */
export type Prediction = 'epsilon' | 'v_prediction' | 'sample';

/** How latents are made at some point of a run: `latents = signal · x₀ + noise · ε`. */
export interface Level {
  signal: number;
  noise: number;
  /** Times this, latents have the unit variance that networks are trained on. */
  inputScale: number;
}

const single = Math.fround;

/** Latents of unit variance. `alpha` is the share of the signal's variance, ᾱ. */
export function levelOfAlpha(alpha: number): Level {
  return { signal: Math.sqrt(alpha), noise: Math.sqrt(1 - alpha), inputScale: 1 };
}

/** Latents of unit variance with `sigma` times as much noise as signal; in float32, as in the reference. */
export function levelOfRatio(sigma: number): Level {
  const signal = single(1 / single(Math.sqrt(single(single(sigma ** 2) + 1))));
  return { signal, noise: single(sigma * signal), inputScale: 1 };
}

/**
 * λ, half of the logarithm of the signal-to-noise ratio, which solvers count their steps in. Steps are small
 * differences of it, and the reference takes them in float32: what is lost there has to be lost here, or third-order
 * solvers come out up to 1e-4 away.
 */
export function halfLogSnr({ signal, noise }: Level): number {
  return single(single(Math.log(signal)) - single(Math.log(noise)));
}

/** The whole signal, with noise of deviation `sigma` on top. */
export function levelOfSigma(sigma: number): Level {
  return { signal: 1, noise: sigma, inputScale: 1 / Math.sqrt(sigma ** 2 + 1) };
}

/** The clean latents that a network's output stands for. v is that of Salimans and Ho 2022 (arXiv 2202.00512). */
export function predictedOriginal(
  prediction: Prediction,
  output: Float32Array,
  latents: Float32Array,
  { signal, noise, inputScale }: Level,
): Float32Array {
  switch (prediction) {
    case 'epsilon':
      // Without any signal they are infinite, as in the reference, and clipping keeps their sign.
      if (signal === 0) return combine([1, latents], [-noise, output]).map((value) => value / signal);
      return combine([1 / signal, latents], [-noise / signal, output]);
    case 'v_prediction':
      return combine([signal * inputScale ** 2, latents], [-noise * inputScale, output]);
    case 'sample':
      return output;
  }
}

/** The noise that a network's output stands for. */
export function predictedNoise(
  prediction: Prediction,
  output: Float32Array,
  latents: Float32Array,
  { signal, noise, inputScale }: Level,
): Float32Array {
  switch (prediction) {
    case 'epsilon':
      return output;
    case 'v_prediction':
      return combine([noise * inputScale ** 2, latents], [signal * inputScale, output]);
    case 'sample':
      return combine([1 / noise, latents], [-signal / noise, output]);
  }
}

/**
 * The slope dx/dσ of latents in sigma coordinates. Rounded where the reference rounds, and so is `follow`: on a ladder
 * from σ 4096, which networks without terminal signal have, the digits that float32 loses show in the result.
 */
export function slopeAt(latents: Float32Array, original: Float32Array, sigma: number): Float32Array {
  return latents.map((value, index) => single(value - original[index]!) / sigma);
}

/** Latents after a straight way of `distance` in sigma. */
export function follow(latents: Float32Array, slope: Float32Array, distance: number): Float32Array {
  const way = single(distance);
  return latents.map((value, index) => value + single(slope[index]! * way));
}

/** A weighted sum, computed in double and rounded once. */
export function combine(...terms: readonly (readonly [weight: number, values: Float32Array])[]): Float32Array {
  const sum = new Float64Array(terms[0]![1].length);
  for (const [weight, values] of terms) {
    for (let index = 0; index < sum.length; index++) sum[index] = sum[index]! + weight * values[index]!;
  }
  return Float32Array.from(sum);
}

/** Clean latents kept within ±`limit`, for networks that were trained so; without a limit as they are. */
export function clip(values: Float32Array, limit: number | undefined): Float32Array {
  return limit === undefined ? values : values.map((value) => Math.min(limit, Math.max(-limit, value)));
}
