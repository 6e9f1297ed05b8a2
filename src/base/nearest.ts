/** Resizing without mixing pixels, by the two rules that PyTorch has for it, and cutting out. */
import type { RgbImage } from './image.ts';

/**
 * Which pixel of the source each pixel of the result is, along one side:
 *
 * - `nearest`: the one where its upper left corner falls, in float32
 *   (https://github.com/pytorch/pytorch/blob/v2.0.0/aten/src/ATen/native/UpSample.h#L273-L311);
 * - `nearest-exact`: the one where its middle falls (L325-L346 there).
 */
export type NearestRule = 'nearest' | 'nearest-exact';

export function resizeNearest(image: RgbImage, width: number, height: number, rule: NearestRule): RgbImage {
  if (width === image.width && height === image.height) return image;
  const columns = sourcePlaces(image.width, width, rule);
  const rows = sourcePlaces(image.height, height, rule);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = rows[y]! * image.width;
    for (let x = 0; x < width; x++) {
      const from = (row + columns[x]!) * 3;
      const to = (y * width + x) * 3;
      data[to] = image.data[from]!;
      data[to + 1] = image.data[from + 1]!;
      data[to + 2] = image.data[from + 2]!;
    }
  }
  return { width, height, channels: 3, data };
}

export function sourcePlaces(length: number, count: number, rule: NearestRule): Int32Array {
  const scale = Math.fround(length / count);
  const shift = rule === 'nearest' ? 0 : 0.5;
  return Int32Array.from({ length: count }, (_, index) => {
    return Math.min(Math.floor(Math.fround((index + shift) * scale)), length - 1);
  });
}

/** The part that begins at `left` and `top`. */
export function cutOut(image: RgbImage, left: number, top: number, width: number, height: number): RgbImage {
  if (width === image.width && height === image.height) return image;
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(start, start + width * 3), y * width * 3);
  }
  return { width, height, channels: 3, data };
}
