import type { RgbImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import { controlSize, type Size, unlimitedControlSize } from '../pipeline/control-size.ts';

/**
 * The photograph as networks look at it: its smaller side becomes `resolution`, each side a multiple of 64 (`resize_image`
 * of https://github.com/huggingface/controlnet_aux/blob/v0.0.3/src/controlnet_aux/util.py).
 *
 * @throws InputError when that would be too large
 */
export async function resizeForDetection(photograph: RgbImage, resolution: number): Promise<RgbImage> {
  return await resized(photograph, resolution, controlSize(photograph, resolution));
}

/** The same of a photograph whose shape is within bounds already: nothing is too large. */
export async function resizeBoundedForDetection(photograph: RgbImage, resolution: number): Promise<RgbImage> {
  return await resized(photograph, resolution, unlimitedControlSize(photograph, resolution));
}

async function resized(photograph: RgbImage, resolution: number, { width, height }: Size): Promise<RgbImage> {
  const isLarger = resolution > Math.min(photograph.width, photograph.height);
  const cv = await openCv();
  return { ...cv.resize(photograph, width, height, isLarger ? 'lanczos4' : 'area'), channels: 3 };
}
