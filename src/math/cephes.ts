/**
 * Logarithm, sine and cosine of float32 values, bit for bit as torch computes them for normal values on a CPU with AVX2
 * (with AVX-512 too): the polynomials of Moshier's Cephes library, in the order of
 * https://github.com/pytorch/pytorch/blob/v2.0.0/aten/src/ATen/native/cpu/avx_mathfun.h#L130-L210 and #L395-L515,
 * whose products are fused with the addition that follows, as compiled for such a CPU.
 *
 * Not here: values below zero, denormal ones, and angles above 8192.
 */
const single = Math.fround;
/** From the highest power down. */
const logarithm = [
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
  2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
].map(single);
const sine = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1].map(single);
const cosine = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2].map(single);
/** ln 2 and π/4, each as a sum whose first parts are short. */
const [ln2High, ln2Low] = [single(0.693359375), single(-2.1219444e-4)];
const [quarterHigh, quarterMiddle, quarterLow] = [
  single(0.78515625),
  single(2.4187564849853516e-4),
  single(3.774894977445941e-8),
];
const quartersPerRadian = single(4 / Math.PI);
const rootOfHalf = single(Math.SQRT1_2);

/** Of a positive float32. */
export function logOfSingle(value: number): number {
  let exponent = Math.floor(Math.log2(value)) + 1;
  let mantissa = value / 2 ** exponent;
  if (mantissa < rootOfHalf) {
    exponent -= 1;
    mantissa *= 2;
  }
  const x = mantissa - 1;
  const square = single(x * x);
  const cubic = single(polynomial(logarithm, x) * x);
  const low = single(cubic * square + single(exponent * ln2Low));
  return single(exponent * ln2High + single(x + single(low - square / 2)));
}

/** Of an angle that is not negative. */
export function sineAndCosine(angle: number): [sine: number, cosine: number] {
  const octant = (Math.trunc(single(angle * quartersPerRadian)) + 1) & ~1;
  const x = single(single(single(angle - octant * quarterHigh) - octant * quarterMiddle) - octant * quarterLow);
  const square = single(x * x);
  const even = single(single(single(polynomial(cosine, square) * square) * square - square / 2) + 1);
  const odd = single(single(polynomial(sine, square) * square) * x + x);
  const swapped = (octant & 2) !== 0;
  return [
    (octant & 4) !== 0 ? -(swapped ? even : odd) : swapped ? even : odd,
    ((octant + 2) & 4) !== 0 ? -(swapped ? odd : even) : swapped ? odd : even,
  ];
}

function polynomial(coefficients: readonly number[], x: number): number {
  let sum = coefficients[0]!;
  for (let index = 1; index < coefficients.length; index++) sum = single(sum * x + coefficients[index]!);
  return sum;
}
