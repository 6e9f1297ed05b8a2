/**
 * Straight lines, white on black, found by M-LSD large; after huggingface/controlnet_aux v0.0.3 `mlsd/__init__.py`.
 */
import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import type { Point, Raster } from '../base/raster.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import type { Annotator } from './annotator.ts';
import { resizeForDetection } from './detect-size.ts';
import { fromGrey } from './grey.ts';
import { findLineSegments, type LineSegment } from './line-segments.ts';
import { mlsdNetwork } from './mlsd.ts';

const file = {
  path: 'annotator/ckpts/mlsd_large_512_fp32.pth',
  bytes: 6_341_481,
  sha256: '5696f168eb2c30d4374bbfd45436f7415bb4d88da29bea97eea0101520fba082',
};

export const hough: Annotator = {
  weights: [
    // The network and its weights: navervision/mlsd and lhwcv/mlsd_pytorch, both Apache 2.0.
    {
      repository: 'lllyasviel/ControlNet',
      revision: 'e78a8c4a5052a238198043ee5c0cb44e22abb9f7',
      files: [file],
      licence: 'Apache 2.0',
      commercialUse: true,
    },
  ],

  async annotate(photograph, { folders, residency }) {
    const picture = await resizeForDetection(photograph, 512);
    const [folder] = folders as [string];
    const { maps } = await residency.use(mlsdNetwork(join(folder, file.path), picture), (session) =>
      session.run({ image: networkInput(picture) }),
    );
    return drawLines(picture, findLineSegments(maps as Tensor<'float32'>));
  },
};

/** Colours from -1 to 1, and a fourth channel that the network was trained with: the value 1 as if it were a colour. */
function networkInput({ width, height, data }: RgbImage): Tensor<'float32'> {
  const size = width * height;
  const image = float32([1, 4, height, width]);
  for (let channel = 0; channel < 3; channel++) {
    for (let pixel = 0; pixel < size; pixel++)
      image.data[channel * size + pixel] = toNetwork(data[pixel * 3 + channel]!);
  }
  image.data.fill(toNetwork(1), 3 * size);
  return image;
}

function toNetwork(value: number): number {
  return Math.fround(value / 127.5) - 1;
}

async function drawLines({ width, height }: RgbImage, segments: readonly LineSegment[]): Promise<RgbImage> {
  const { line } = await openCv();
  const canvas: Raster<Uint8Array> = { width, height, channels: 1, data: new Uint8Array(width * height) };
  for (const { from, to } of segments) line(canvas, wholePixel(from), wholePixel(to), [255]);
  return fromGrey(canvas);
}

function wholePixel({ x, y }: Point): Point {
  return { x: Math.trunc(x), y: Math.trunc(y) };
}
