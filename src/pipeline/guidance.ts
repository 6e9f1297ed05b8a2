import type { Tensor } from '../math/tensor.ts';

/**
 * Classifier-free guidance: `ε = ε_u + scale·(ε_c − ε_u)` (Ho & Salimans, arXiv 2207.12598, eq. 6 in the form of
 * the reference pipelines).
 *
 * @param prediction noise of both halves of a batch, unconditional first: [2n, C, H, W]
 * @returns [n, C, H, W]
 */
export function classifierFreeGuidance(prediction: Tensor<'float32'>, scale: number): Float32Array {
  const half = prediction.data.length / 2;
  const guided = new Float32Array(half);
  for (let index = 0; index < half; index++) {
    const unconditional = prediction.data[index]!;
    guided[index] = unconditional + scale * (prediction.data[half + index]! - unconditional);
  }
  return guided;
}

/** The same batch twice, for the unconditional and the conditional half: [n, …] -> [2n, …]. */
export function duplicate(batch: Float32Array): Float32Array {
  const doubled = new Float32Array(batch.length * 2);
  doubled.set(batch);
  doubled.set(batch, batch.length);
  return doubled;
}
