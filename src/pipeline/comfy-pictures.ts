/** What happens to pictures on their way through ComfyUI's nodes at ae77590b; nothing is mixed, pixels are only chosen. */
import { InputError } from '../base/errors.ts';
import type { RgbImage } from '../base/image.ts';
import { cutOut, resizeNearest } from '../base/nearest.ts';
import { roundHalfToEven } from '../math/round.ts';
import type { Size } from './control-size.ts';

/** Strips are refused: depth is read off a picture with the smaller side at a fixed size. */
const largestRatio = 4;

/**
 * Brings the longer side to `longest`, also of smaller pictures: the node "Image Resize" of cubiq/ComfyUI_essentials at
 * c9236fe, with `nearest` and `keep_proportion`.
 *
 * @param field the input that named the picture, for the error
 * @throws InputError for a strip
 */
export function fitInto(picture: RgbImage, longest: number, field: string): RgbImage {
  const { width, height } = picture;
  if (Math.max(width, height) > largestRatio * Math.min(width, height)) {
    throw new InputError(
      `${field} is ${width}×${height}; its longer side may be at most ${largestRatio} times the shorter. ` +
        'Crop it to the person.',
      field,
    );
  }
  const ratio = Math.min(longest / width, longest / height);
  return resizeNearest(picture, roundHalfToEven(width * ratio), roundHalfToEven(height * ratio), 'nearest');
}

/** The middle, with sides cut down to multiples: `VAE.vae_encode_crop_pixels` of ComfyUI's nodes.py. */
export function cropToMultiple(picture: RgbImage, multiple: number): RgbImage {
  const cut = (side: number): number => side % multiple;
  const { width, height } = picture;
  return cutOut(
    picture,
    Math.floor(cut(width) / 2),
    Math.floor(cut(height) / 2),
    width - cut(width),
    height - cut(height),
  );
}

/**
 * The picture that a ControlNet follows, for latents of an eighth of this size: the middle in the same proportion, then
 * resized. `common_upscale` of comfy/utils.py with `nearest-exact` and `center`.
 */
export function hintPicture(picture: RgbImage, { width, height }: Size): RgbImage {
  const { width: oldWidth, height: oldHeight } = picture;
  const oldAspect = oldWidth / oldHeight;
  const aspect = width / height;
  const left = oldAspect > aspect ? roundHalfToEven((oldWidth - oldWidth * (aspect / oldAspect)) / 2) : 0;
  const top = oldAspect < aspect ? roundHalfToEven((oldHeight - oldHeight * (oldAspect / aspect)) / 2) : 0;
  const middle = cutOut(picture, left, top, oldWidth - 2 * left, oldHeight - 2 * top);
  return resizeNearest(middle, width, height, 'nearest-exact');
}
