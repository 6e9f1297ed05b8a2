import type { RgbImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import { fromGrey } from './grey.ts';

/**
 * Edges of a picture, white on black, of its three colours and not of its brightness. Canny 1986, "A computational
 * approach to edge detection". Needs no weights.
 */
export async function canny(photograph: RgbImage, lowThreshold: number, highThreshold: number): Promise<RgbImage> {
  const cv = await openCv();
  return fromGrey(cv.canny(photograph, lowThreshold, highThreshold));
}
