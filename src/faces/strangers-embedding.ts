import { cpuUniforms } from '../math/random.ts';

/** cubiq/ComfyUI_InstantID's `noise`. */
const share = Math.fround(0.35);
const modulus = 1_000_000_007;

/**
 * Who the face is guided away from: nobody, made of noise that is the same for the same face. `apply_instantid` of
 * cubiq/ComfyUI_InstantID at 0fcf494 `InstantID.py`; InstantID itself has zeros there.
 */
export function strangersEmbedding(embedding: Float32Array): Float32Array {
  const sum = Math.fround(embedding.reduce((total, value) => total + value, 0));
  // Python rounds towards zero, and its remainder is never negative.
  const seed = ((Math.trunc(sum) % modulus) + modulus) % modulus;
  return cpuUniforms(seed)
    .uniform(embedding.length)
    .map((value) => value * share);
}
