import { InputError } from '../base/errors.ts';
import type { RgbImage } from '../base/image.ts';
import { bilinear, resize } from '../base/resize.ts';
import { roundHalfToEven } from '../math/round.ts';

/** Sides of pictures are multiples of this. */
const multiple = 64;
/** What the shorter side is brought to before the longest decides; it matters for the rounding alone. */
const shortSide = 1024;

interface Size {
  width: number;
  height: number;
}

/**
 * The two sizes that a picture is resampled to: its longest side at `longest`, then both sides cut down to multiples of
 * 64. After zsxkib/InstantID at b8dc74a `cog/predict.py` (`resize_img`); halves are rounded to even as in Python.
 *
 * @param field the input that named the picture, for the error
 * @throws InputError for a strip whose shorter side would vanish
 */
export function longestSideSizes({ width, height }: Size, longest: number, field: string): [Size, Size] {
  const scaled = (size: Size, ratio: number): Size => ({
    width: roundHalfToEven(ratio * size.width),
    height: roundHalfToEven(ratio * size.height),
  });
  const enlarged = scaled({ width, height }, shortSide / Math.min(width, height));
  const first = scaled(enlarged, longest / Math.max(enlarged.width, enlarged.height));
  const cut = (side: number): number => Math.floor(side / multiple) * multiple;
  const second = { width: cut(first.width), height: cut(first.height) };
  if (Math.min(second.width, second.height) === 0) {
    throw new InputError(
      `${field} is ${width}×${height}, too long and narrow: with its longest side at ${longest} the other one would be ` +
        `${Math.min(first.width, first.height)} pixels, and pictures have at least ${multiple}. Crop it.`,
      field,
    );
  }
  return [first, second];
}

/** Pillow's bilinear filter twice, as the original does. */
export function resizeToLongestSide(picture: RgbImage, longest: number, field: string): RgbImage {
  const [first, second] = longestSideSizes(picture, longest, field);
  return resize(resize(picture, first.width, first.height, bilinear), second.width, second.height, bilinear);
}
