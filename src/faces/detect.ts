import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import type { Tensor } from '../math/tensor.ts';
import { onnxFileNetwork } from '../networks/onnx-file-network.ts';
import { anySize } from '../onnx/model.ts';
import type { Residency } from '../runtime/residency.ts';
import { detectorFile } from './antelopev2.ts';
import { detectorInput } from './detector-input.ts';
import type { Face } from './face.ts';
import { detectorOutputs, readFaces } from './read-faces.ts';

/** Pixels of the coarsest grid's stride. */
const sizeStep = 32;

/**
 * The faces of a picture, the surest first. In a strip so thin that nothing of it would be left there are none.
 *
 * @param size side of the square that the picture is fitted into for the detector: a multiple of 32
 * @param folder of antelopev2
 * @throws WeightError when the file there is no such detector
 */
export async function detectFaces(
  picture: RgbImage,
  size: number,
  folder: string,
  residency: Residency,
): Promise<Face[]> {
  if (!(size > 0 && size % sizeStep === 0)) throw new RangeError(`The size ${size} is no multiple of ${sizeStep}.`);
  const input = await detectorInput(picture, size);
  if (!input) return [];
  // Loaded once for squares of all sizes, as the reference does.
  const detector = onnxFileNetwork(join(folder, detectorFile), {
    inputs: [[1, 3, anySize, anySize]],
    outputs: detectorOutputs(anySize),
  });
  const outputs = await residency.use(detector, async ({ inputs: [first], outputs, run }) => {
    const values = await run({ [first!.name]: input.pixels });
    return outputs.map(({ name }) => (values[name] as Tensor<'float32'>).data);
  });
  return readFaces(outputs, size, input.scale);
}
