/**
 * Half-precision numbers as raw bits: Node 20 has no Float16Array. IEEE 754 binary16 (1 sign, 5 exponent, 10 fraction
 * bits) and bfloat16, the upper half of a float32.
 */

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Rounds to the nearest half, ties to the even one, as torch does. */
export function floatToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  // Halves of this magnitude are 2^(exponent - 10) apart; below 2^-14 they stay 2^-24 apart.
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)));
  const units = roundToEven(magnitude * 2 ** (10 - exponent));
  // Units from 1024 carry the implicit bit: adding lets a rounded-up fraction spill into the exponent.
  return units < 1024 ? sign | units : sign | (((exponent + 15) << 10) + (units - 1024));
}

let everyHalf: Float32Array | undefined;

/** Many at once: a table of all 65,536 halves is ten times as fast as computing each. */
export function halvesToFloats(bits: Uint16Array): Float32Array<ArrayBuffer> {
  everyHalf ??= Float32Array.from({ length: 1 << 16 }, (_, half) => halfToFloat(half));
  const floats = new Float32Array(bits.length);
  for (let index = 0; index < bits.length; index++) floats[index] = everyHalf[bits[index]!]!;
  return floats;
}

/** A bfloat16 is the upper half of a float32. */
export function bfloat16sToFloats(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  for (let index = 0; index < bits.length; index++) words[index] = bits[index]! << 16;
  return new Float32Array(words.buffer);
}

export function bfloat16ToFloat(bits: number): number {
  word[0] = bits << 16;
  return single[0]!;
}

export function floatToBfloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  single[0] = value;
  // Adding half of the dropped part, less one for an even result, rounds to nearest with ties to even.
  return ((word[0]! + 0x7fff + ((word[0]! >>> 16) & 1)) >>> 16) & 0xffff;
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
