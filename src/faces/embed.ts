import type { RgbImage } from '../base/image.ts';
import type { Residency } from '../runtime/residency.ts';
import type { Face } from './face.ts';

/**
 * Who it is: 512 numbers, of no unit length.
 *
 * @param folder of antelopev2
 */
export async function embedFace(
  _picture: RgbImage,
  _face: Pick<Face, 'points'>,
  _folder: string,
  _residency: Residency,
): Promise<Float32Array> {
  throw new Error('Not yet.');
}
