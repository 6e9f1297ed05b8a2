/**
 * Floats of eight bits, raw, after "FP8 Formats for Deep Learning" (Micikevicius et al. 2022, arXiv 2209.05433, table 1):
 * E4M3 with 4 bits of exponent, biased by 7, and 3 of fraction, without infinities; E5M2 with 5 and 2, the upper half of a
 * binary16. Every number of both is a float32.
 */
import { halfToFloat } from './float16.ts';

/** The numbers that the 256 bytes stand for, by the names that safetensors has for the types. */
export const float8Tables = {
  F8_E4M3: Float32Array.from({ length: 256 }, (_, bits) => e4m3ToFloat(bits)),
  F8_E5M2: Float32Array.from({ length: 256 }, (_, bits) => halfToFloat(bits << 8)),
};

export type Float8 = keyof typeof float8Tables;

export function isFloat8(type: string): type is Float8 {
  return Object.hasOwn(float8Tables, type);
}

export function float8sToFloats(bits: Uint8Array, type: Float8): Float32Array<ArrayBuffer> {
  const table = float8Tables[type];
  return Float32Array.from(bits, (byte) => table[byte]!);
}

function e4m3ToFloat(bits: number): number {
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits >> 3) & 0xf;
  const fraction = bits & 0x7;
  if (exponent === 0) return sign * fraction * 2 ** -9;
  // What would be infinity and most that would be none are numbers as well.
  if (exponent === 0xf && fraction === 0x7) return Number.NaN;
  return sign * (1 + fraction / 8) * 2 ** (exponent - 7);
}
