import type { RgbImage } from '../base/image.ts';
import type { Residency } from '../runtime/residency.ts';
import { widestLowestFace } from './choose.ts';
import { detectFaces } from './detect.ts';
import type { Face } from './face.ts';

/** A face that fills the frame is missed where the detector sees it large. */
export const detectorSizes = [640, 576, 512, 448, 384, 320, 256, 192];

/**
 * The face of a picture, looked for in smaller and smaller copies of it: `extractFeatures` of cubiq/ComfyUI_InstantID at
 * 0fcf494 `InstantID.py`.
 *
 * @param folder of antelopev2
 * @returns the side of the copy it was found in, too; `undefined` where none has a face
 */
export async function findFace(
  picture: RgbImage,
  folder: string,
  residency: Residency,
): Promise<{ face: Face; size: number } | undefined> {
  for (const size of detectorSizes) {
    const faces = await detectFaces(picture, size, folder, residency);
    if (faces.length > 0) return { face: widestLowestFace(faces), size };
  }
  return undefined;
}
