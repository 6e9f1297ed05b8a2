import type { Raster } from '../base/raster.ts';

const { fround } = Math;

/** Of the cubic of Keys 1981. */
const a = -0.75;

/**
 * A square map at a larger size, as `torch.nn.functional.interpolate` with mode "bicubic" makes it on a CPU: pixels have
 * their centres at halves, those beyond the edge are the last one again, and everything is computed in float32
 * (https://github.com/pytorch/pytorch/blob/v2.0.0/aten/src/ATen/native/UpSample.h#L407-L452).
 */
export function enlargeCubic({ width: side, data }: Raster<Float32Array>, newSide: number): Raster<Float32Array> {
  const taps = Array.from({ length: newSide }, (_, index) => tapsOf(index, side / newSide, side));
  const across = new Float32Array(side * newSide);
  for (let y = 0; y < side; y++) {
    for (const [x, { places, weights }] of taps.entries()) {
      across[y * newSide + x] = weighted((tap) => data[y * side + places[tap]!]!, weights);
    }
  }
  const large = new Float32Array(newSide * newSide);
  for (const [y, { places, weights }] of taps.entries()) {
    const rows = places.map((place) => place * newSide);
    for (let x = 0; x < newSide; x++) {
      large[y * newSide + x] = weighted((tap) => across[rows[tap]! + x]!, weights);
    }
  }
  return { width: newSide, height: newSide, channels: 1, data: large };
}

function weighted(value: (tap: number) => number, weights: readonly number[]): number {
  let sum = fround(value(0) * weights[0]!);
  for (let tap = 1; tap < 4; tap++) sum = fround(sum + fround(value(tap) * weights[tap]!));
  return sum;
}

function tapsOf(index: number, scale: number, length: number): { places: number[]; weights: number[] } {
  const place = fround(fround(fround(scale) * fround(index + 0.5)) - 0.5);
  const first = Math.floor(place);
  const t = fround(place - first);
  const places = [-1, 0, 1, 2].map((step) => Math.min(Math.max(first + step, 0), length - 1));
  const rest = fround(1 - t);
  return { places, weights: [outer(fround(t + 1)), inner(t), inner(rest), outer(fround(rest + 1))] };
}

function inner(x: number): number {
  return fround(fround(fround(fround(fround((a + 2) * x) - (a + 3)) * x) * x) + 1);
}

function outer(x: number): number {
  return fround(fround(fround(fround(fround(fround(a * x) - 5 * a) * x) + 8 * a) * x) - 4 * a);
}
