import { InputError } from '../base/errors.ts';
import { roundHalfToEven } from '../math/round.ts';

export interface Size {
  width: number;
  height: number;
}

/**
 * Larger pictures are refused: self-attention grows with the square of the area, and a 10000×50 strip would
 * otherwise ask for 102400×512 pixels.
 */
const largestArea = 2048 * 2048;

/**
 * The size of a ControlNet picture: its smaller side becomes `resolution`, each side a multiple of 64
 * (anotherjesse/multi-control `predict.py` at 1194962, `resize_image`; numpy rounds halves to even).
 *
 * @throws InputError when the picture would be too large
 */
export function controlSize(source: Size, resolution: number): Size {
  const size = unlimitedControlSize(source, resolution);
  if (size.width * size.height > largestArea) {
    throw new InputError(
      `image is ${source.width}×${source.height}; with its smaller side at ${resolution} it would become ` +
        `${size.width}×${size.height}. Crop it to a less extreme shape.`,
      'image',
    );
  }
  return size;
}

/** The same, of whatever shape. */
export function unlimitedControlSize({ width, height }: Size, resolution: number): Size {
  const ratio = resolution / Math.min(width, height);
  const side = (pixels: number): number => 64 * roundHalfToEven((pixels * ratio) / 64);
  return { width: side(width), height: side(height) };
}
