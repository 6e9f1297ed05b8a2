import type { Raster } from '../base/raster.ts';
import { roundHalfToEven } from '../math/round.ts';

const { fround } = Math;

/** Fixed-point unit of the weights. */
const unit = 2048;
/** Values that x86 computes at a time; those that are left over at the end of a row go another way. */
const lanes = 8;

/**
 * OpenCV's `resize` of bytes by a factor with `INTER_CUBIC`, as its releases for x86 compute it without Intel's IPP: whole
 * numbers across, float32 down. The WebAssembly of `opencv.ts` stays with whole numbers, and one byte in some ten
 * thousand is another (https://github.com/opencv/opencv/blob/4.6.0/modules/imgproc/src/resize.cpp#L1296-L1334).
 */
export function resizeCubic(image: Raster<Uint8Array>, factor: number): Raster<Uint8Array> {
  const { channels } = image;
  const width = roundHalfToEven(image.width * factor);
  const height = roundHalfToEven(image.height * factor);
  const across = tapsOf(width, image.width, factor);
  const down = tapsOf(height, image.height, factor);
  const rowLength = width * channels;
  const rows = new Map<number, Int32Array>();
  const rowOf = (y: number): Int32Array => {
    let row = rows.get(y);
    if (!row) {
      row = rowAcross(image, y, across);
      rows.set(y, row);
    }
    return row;
  };
  const data = new Uint8ClampedArray(rowLength * height);
  const inLanes = rowLength - (rowLength % lanes);
  for (const [y, { places, weights }] of down.entries()) {
    const [a, b, c, d] = places.map(rowOf) as [Int32Array, Int32Array, Int32Array, Int32Array];
    for (const place of rows.keys()) if (place < places[0]!) rows.delete(place);
    const [wa, wb, wc, wd] = weights as [number, number, number, number];
    const share = 1 / unit ** 2;
    for (let x = 0; x < inLanes; x++) {
      const last = fround(fround(c[x]! * (wc * share)) + fround(d[x]! * (wd * share)));
      data[y * rowLength + x] = fround(fround(a[x]! * (wa * share)) + fround(fround(b[x]! * (wb * share)) + last));
    }
    for (let x = inLanes; x < rowLength; x++) {
      data[y * rowLength + x] = Math.floor((a[x]! * wa + b[x]! * wb + c[x]! * wc + d[x]! * wd) * share + 0.5);
    }
  }
  return { width, height, channels, data: new Uint8Array(data.buffer) };
}

interface Taps {
  /** Of the four pixels that a pixel of the result is made of; at the edge the last one again. */
  places: number[];
  weights: number[];
}

function tapsOf(count: number, length: number, factor: number): Taps[] {
  return Array.from({ length: count }, (_, index) => {
    const place = fround((index + 0.5) * (1 / factor) - 0.5);
    const first = Math.floor(place);
    const places = [-1, 0, 1, 2].map((step) => Math.min(Math.max(first + step, 0), length - 1));
    return { places, weights: cubic(fround(place - first)) };
  });
}

/** The cubic of Keys 1981 with a = -0.75, in float32, then in units. */
function cubic(x: number): number[] {
  const a = -0.75;
  const outer = fround(x + 1);
  const rest = fround(1 - x);
  const inner = (t: number): number =>
    fround(fround(fround(fround(fround(fround(a + 2) * t) - fround(a + 3)) * t) * t) + 1);
  const first = fround(fround(fround(fround(fround(fround(a * outer) - 5 * a) * outer) + 8 * a) * outer) - 4 * a);
  const second = inner(x);
  const third = inner(rest);
  const fourth = fround(fround(fround(1 - first) - second) - third);
  return [first, second, third, fourth].map((weight) => roundHalfToEven(fround(weight * unit)));
}

/** A row of the picture at the width of the result, in units. */
function rowAcross({ width, channels, data }: Raster<Uint8Array>, y: number, taps: readonly Taps[]): Int32Array {
  const row = new Int32Array(taps.length * channels);
  const start = y * width * channels;
  for (const [x, { places, weights }] of taps.entries()) {
    for (let channel = 0; channel < channels; channel++) {
      let sum = 0;
      for (let tap = 0; tap < 4; tap++) sum += data[start + places[tap]! * channels + channel]! * weights[tap]!;
      row[x * channels + channel] = sum;
    }
  }
  return row;
}
