/**
 * Every pixel in the colour of what it belongs to, found by UPerNet; as anotherjesse/multi-control 1194962 `predict.py`
 * (`seg_preprocessor`) has it done by huggingface/transformers v4.29.1 (`SegformerImageProcessor`).
 */
import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import { bilinear, resize } from '../base/resize.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { ade20kPalette } from './ade20k-palette.ts';
import type { Annotator } from './annotator.ts';
import { labelPixels } from './label-map.ts';
import { upernetNetwork } from './upernet.ts';

const file = {
  path: 'pytorch_model.bin',
  bytes: 327_701_893,
  sha256: '76c163aa531ab7edfb3a77bbcc039e340645aa0ffe2b0ffcfc68755f550c76ea',
};

/** What the network sees, whatever the photograph's proportions. */
const input = { width: 512, height: 512 };

/** Of ImageNet's colours. */
const mean = [0.485, 0.456, 0.406];
const deviation = [0.229, 0.224, 0.225];

export const seg: Annotator = {
  weights: [
    {
      repository: 'openmmlab/upernet-convnext-small',
      revision: '550b68d291f9a7e4874065c6eec0676b2ba821e6',
      files: [file],
      licence: 'MIT',
      commercialUse: true,
    },
  ],

  async annotate(photograph, { folders, residency }) {
    const [folder] = folders as [string];
    const picture = resize(photograph, input.width, input.height, bilinear);
    const { logits } = await residency.use(upernetNetwork(join(folder, file.path), input), (session) =>
      session.run({ pixel_values: networkInput(picture) }),
    );
    return inColours(labelPixels(logits as Tensor<'float32'>, input, photograph), photograph);
  },
};

function networkInput({ width, height, data }: RgbImage): Tensor<'float32'> {
  const size = width * height;
  const pixels = float32([1, 3, height, width]);
  for (let channel = 0; channel < 3; channel++) {
    const values = Float32Array.from({ length: 256 }, (_, value) => normalize(value, channel));
    for (let pixel = 0; pixel < size; pixel++) {
      pixels.data[channel * size + pixel] = values[data[pixel * 3 + channel]!]!;
    }
  }
  return pixels;
}

/** In float32 at each step, as the reference. */
function normalize(value: number, channel: number): number {
  const difference = Math.fround(Math.fround(value / 255) - Math.fround(mean[channel]!));
  return difference / Math.fround(deviation[channel]!);
}

function inColours(labels: Uint8Array, { width, height }: RgbImage): RgbImage {
  const data = new Uint8Array(labels.length * 3);
  for (let pixel = 0; pixel < labels.length; pixel++) data.set(ade20kPalette[labels[pixel]!]!, pixel * 3);
  return { width, height, channels: 3, data };
}
