/**
 * The structures that zsxkib/InstantID shows its ControlNets: `gradio_demo/controlnet_util.py` at b8dc74a. It resizes
 * each picture to that of its output afterwards, with Pillow's bicubic kernel.
 */
import type { RgbImage } from '../base/image.ts';
import { bilinear, resize } from '../base/resize.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import type { Annotator } from './annotator.ts';
import { canny } from './canny.ts';
import { depthPicture } from './depth.ts';
import { dptHybridOfTransformers } from './dpt-hybrid-transformers.ts';
import { enlargeCubic } from './enlarge-cubic.ts';
import { fromGrey } from './grey.ts';
import { poseOfLaterRelease } from './pose.ts';

/** Of controlnet_aux 0.0.7, with the shorter side at 512. */
export const poseStructure: Annotator = poseOfLaterRelease;

/** Blue first: where two colours change equally much, the first one decides in which direction an edge runs. */
export const cannyStructure: Annotator = {
  weights: [],
  annotate: (photograph) => canny(blueFirst(photograph), 100, 200),
};

function blueFirst({ width, height, data }: RgbImage): RgbImage {
  const swapped = data.map((_, index) => data[index + 2 * (1 - (index % 3))]!);
  return { width, height, channels: 3, data: swapped };
}

const depthFile = 'pytorch_model.bin';
/** What its feature extractor makes of every picture, whatever its shape. */
const seenSide = 384;
const depthSide = 1024;

/** Always a square. Black where everything is equally near: the original divides 0 by 0 there. */
export const depthStructure: Annotator = {
  weights: [
    {
      repository: 'Intel/dpt-hybrid-midas',
      files: ['config.json', depthFile],
      licence: 'Apache 2.0',
      commercialUse: true,
    },
  ],
  async annotate(photograph, { folders: [folder], residency }) {
    const network = dptHybridOfTransformers(folder!, depthFile, { batch: 1, height: seenSide, width: seenSide });
    const pixels = networkInput(resize(photograph, seenSide, seenSide, bilinear));
    const results = await residency.use(network, (session) => session.run({ pixel_values: pixels }));
    const { data } = results.predicted_depth as Tensor<'float32'>;
    const found = { width: seenSide, height: seenSide, channels: 1, data };
    return fromGrey(depthPicture(enlargeCubic(found, depthSide)));
  },
};

/** As transformers v4.36.2 `DPTImageProcessor`. [H, W, 3] of 0…255 -> [1, 3, H, W] of -1…1 */
export function networkInput({ width, height, data }: RgbImage): Tensor<'float32'> {
  const size = width * height;
  const pixels = float32([1, 3, height, width]);
  for (let pixel = 0; pixel < size; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const share = Math.fround(data[pixel * 3 + channel]! * (1 / 255));
      pixels.data[channel * size + pixel] = Math.fround(share - 0.5) / 0.5;
    }
  }
  return pixels;
}
