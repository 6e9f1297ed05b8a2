/**
 * The natural logarithm of a float32 as NumPy computes it on x86 with AVX2 or AVX-512, bit for bit: a rational
 * approximation that misses the nearest float32 in one of ten cases. Sampler coefficients that are small differences
 * of logarithms show which one was used. After
 * https://github.com/numpy/numpy/blob/v1.24.2/numpy/core/src/umath/loops_exponent_log.dispatch.c.src#L331-L468 and the
 * constants of https://github.com/numpy/numpy/blob/v1.24.2/numpy/core/src/umath/npy_simd_data.h#L134-L150
 */
export function numpyLog(value: number): number {
  if (!(value > 0) || value === Number.POSITIVE_INFINITY) return Math.log(value);
  let exponent = Math.floor(Math.log2(value));
  let mantissa = value / 2 ** exponent;
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent += 1;
  }
  const x = single(mantissa - 1);
  return multiplyAdd(exponent, ln2, single(polynomial(numerator, x) / polynomial(denominator, x)));
}

const single = Math.fround;
const ln2 = single(Math.LN2);
/** From the highest power down. */
const numerator = [0.025899792, 0.38088378, 1.4800006, 2.1126776, 1, 0].map(single);
const denominator = [0.0058750953, 0.15464763, 0.9864943, 2.453006, 2.6126776, 1].map(single);

function polynomial([highest, ...rest]: readonly number[], x: number): number {
  return rest.reduce((sum, coefficient) => multiplyAdd(sum, x, coefficient), highest!);
}

/** Rounded once: a product of two float32 fits into a double. */
function multiplyAdd(a: number, b: number, c: number): number {
  return single(a * b + c);
}
