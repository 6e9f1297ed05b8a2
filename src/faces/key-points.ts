import type { RgbImage } from '../base/image.ts';
import type { FacePoints } from './face.ts';

/** The picture that IdentityNet follows: the five points of a face as coloured dots, and limbs between them and the nose. */
export async function drawKeyPoints(_points: FacePoints, _width: number, _height: number): Promise<RgbImage> {
  throw new Error('Not yet.');
}
