import type { RgbImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import { controlSize } from '../pipeline/control-size.ts';

/**
 * The photograph as networks look at it: its smaller side becomes `resolution`, each side a multiple of 64 (`resize_image`
 * of https://github.com/huggingface/controlnet_aux/blob/v0.0.3/src/controlnet_aux/util.py).
 *
 * @throws InputError when that would be too large
 */
export async function resizeForDetection(photograph: RgbImage, resolution: number): Promise<RgbImage> {
  const { width, height } = controlSize(photograph, resolution);
  const isLarger = resolution > Math.min(photograph.width, photograph.height);
  const cv = await openCv();
  return { ...cv.resize(photograph, width, height, isLarger ? 'lanczos4' : 'area'), channels: 3 };
}
