/**
 * Soft edges, white on black, by either training of HED; after huggingface/controlnet_aux v0.0.3 and v0.0.6
 * `hed/__init__.py`.
 */
import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import type { Raster } from '../base/raster.ts';
import type { WeightFile } from '../catalog/model.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import type { Annotator } from './annotator.ts';
import { resizeForDetection } from './detect-size.ts';
import { fromGrey } from './grey.ts';
import { apacheTraining, bsdsTraining, type HedTraining, hedNetwork } from './hed-network.ts';

/** A training and where its weights are. */
export interface EdgeDetector {
  training: HedTraining;
  repository: string;
  revision: string;
  file: WeightFile;
  licence: string;
  commercialUse: boolean;
}

export const bsdsDetector: EdgeDetector = {
  training: bsdsTraining,
  repository: 'lllyasviel/ControlNet',
  revision: 'e78a8c4a5052a238198043ee5c0cb44e22abb9f7',
  file: {
    path: 'annotator/ckpts/network-bsds500.pth',
    sha256: '58a858782f5fa3e0ca3dc92e7a1a609add93987d77be3dfa54f8f8419d881a94',
  },
  // s9xie/hed and the conversion to PyTorch, sniklaus/pytorch-hed, say nothing of the weights.
  licence: 'none stated; trained on BSDS500, which is for non-commercial research',
  commercialUse: false,
};

export const apacheDetector: EdgeDetector = {
  training: apacheTraining,
  repository: 'lllyasviel/Annotators',
  revision: '982e7edaec38759d914a963c48c4726685de7d96',
  file: {
    path: 'ControlNetHED.pth',
    bytes: 29_444_406,
    sha256: '5ca93762ffd68a29fee1af9d495bf6aab80ae86f08905fb35472a083a4c7a8fa',
  },
  licence: 'Apache 2.0',
  commercialUse: true,
};

export const hed = edgeAnnotator(bsdsDetector, async (edges) => edges);

/** Somewhat other edges, by weights that may be used for everything. */
export const freeHed = edgeAnnotator(apacheDetector, async (edges) => edges);

/** An annotator that makes its picture of soft edges. */
export function edgeAnnotator(
  { training, file, ...published }: EdgeDetector,
  finish: (edges: Raster<Uint8Array>) => Promise<Raster<Uint8Array>>,
): Annotator {
  return {
    weights: [{ ...published, files: [file] }],
    async annotate(photograph, { folders, residency }) {
      const picture = await resizeForDetection(photograph, 512);
      const network = hedNetwork(join(folders[0]!, file.path), training, picture);
      const feeds = { image: networkInput(picture, training) };
      const { edges } = await residency.use(network, (session) => session.run(feeds));
      return fromGrey(await finish(toBytes(edges as Tensor<'float32'>)));
    },
  };
}

/** [1, 3, H, W], 0 to 255 */
function networkInput({ width, height, data }: RgbImage, { blueFirst }: HedTraining): Tensor<'float32'> {
  const size = width * height;
  const image = float32([1, 3, height, width]);
  for (let channel = 0; channel < 3; channel++) {
    const source = blueFirst ? 2 - channel : channel;
    for (let pixel = 0; pixel < size; pixel++) image.data[channel * size + pixel] = data[pixel * 3 + source]!;
  }
  return image;
}

/** Rounded down, as the reference does. */
function toBytes({ dims, data }: Tensor<'float32'>): Raster<Uint8Array> {
  const [, , height, width] = dims as [number, number, number, number];
  return { width, height, channels: 1, data: Uint8Array.from(data, (value) => Math.fround(255 * value)) };
}
