import type { RgbImage } from '../base/image.ts';
import type { PredictContext } from '../catalog/model.ts';
import { logFaceLicence } from './antelopev2.ts';
import { standInFace } from './centre-face.ts';
import { embedFace } from './embed.ts';
import { detectorSizes, findFace } from './find-face.ts';
import { drawKeyPoints } from './key-points.ts';

export interface Identity {
  embedding: Float32Array;
  /** What IdentityNet follows, as large as the photograph. */
  keyPoints: RgbImage;
}

const nobody = {
  field: 'image',
  message: 'No face was found in image. Send a photograph that shows one from the front, with some space around it.',
};

/**
 * Who a photograph shows, as ComfyUI's node for InstantID sees it (`findFace`).
 *
 * @param weights antelopev2
 * @throws InputError naming `image` when there is no face; the original then succeeds without a picture
 */
export async function identityOf(
  photograph: RgbImage,
  { set, folder }: { set: 'mini' | 'full'; folder: string },
  { log, residency }: Pick<PredictContext, 'log' | 'residency'>,
): Promise<Identity> {
  if (set === 'full') logFaceLicence(log);
  const found = await findFace(photograph, folder, residency);
  if (found && found.size < detectorSizes[0]!) {
    // The original looks twice: for the embedding and for the key points.
    const notice = `INFO: InsightFace detection resolution lowered to (${found.size}, ${found.size}).`;
    for (let time = 0; time < 2; time++) log(notice);
  }
  const { points } = found?.face ?? standInFace(photograph, set, nobody, log);
  return {
    embedding: await embedFace(photograph, { points }, folder, residency),
    keyPoints: await drawKeyPoints(points, photograph.width, photograph.height),
  };
}
