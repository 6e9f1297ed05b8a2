import { join } from 'node:path';
import { RuntimeFailure } from '../base/errors.ts';
import type { RgbImage } from '../base/image.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { onnxFileNetwork } from '../networks/onnx-file-network.ts';
import type { Residency } from '../runtime/residency.ts';
import { alignedSide, alignFace } from './align.ts';
import { embedderFile } from './antelopev2.ts';
import type { Face } from './face.ts';

/** Numbers that tell one face from another. */
export const embeddingLength = 512;

/**
 * Who it is, by ArcFace (Deng et al., arXiv 1801.07698), as insightface 0.7.3 `model_zoo/arcface_onnx.py` asks it: 512
 * numbers, not brought to any length.
 *
 * @param folder of antelopev2
 * @throws WeightError when the file there is no such network
 */
export async function embedFace(
  picture: RgbImage,
  face: Pick<Face, 'points'>,
  folder: string,
  residency: Residency,
): Promise<Float32Array> {
  const pixels = embedderInput(await alignFace(picture, face.points));
  const embedder = onnxFileNetwork(join(folder, embedderFile), {
    inputs: [pixels.dims],
    outputs: [[1, embeddingLength]],
  });
  const embedding = await residency.use(embedder, async ({ inputs: [input], outputs: [output], run }) => {
    const values = await run({ [input!.name]: pixels });
    return (values[output!.name] as Tensor<'float32'>).data;
  });
  if (!embedding.every(Number.isFinite)) {
    throw new RuntimeFailure(
      'The face embedder returned values that are no numbers. Its weights may be damaged: download antelopev2 again.',
    );
  }
  return embedding;
}

/** Red first, from -1 to 1. [1, 3, 112, 112] */
function embedderInput({ data }: RgbImage): Tensor<'float32'> {
  const size = alignedSide ** 2;
  const pixels = float32([1, 3, alignedSide, alignedSide]);
  const factor = Math.fround(1 / 127.5);
  for (let channel = 0; channel < 3; channel++) {
    for (let pixel = 0; pixel < size; pixel++) {
      pixels.data[channel * size + pixel] = (data[pixel * 3 + channel]! - 127.5) * factor;
    }
  }
  return pixels;
}
