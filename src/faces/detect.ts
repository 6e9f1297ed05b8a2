import type { RgbImage } from '../base/image.ts';
import type { Residency } from '../runtime/residency.ts';
import type { Face } from './face.ts';

/**
 * The faces of a picture, the surest first.
 *
 * @param size side of the square that the picture is fitted into for the detector: a multiple of 32
 * @param folder of antelopev2
 */
export async function detectFaces(
  _picture: RgbImage,
  _size: number,
  _folder: string,
  _residency: Residency,
): Promise<Face[]> {
  throw new Error('Not yet.');
}
