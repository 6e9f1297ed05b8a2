/**
 * The joints of one person, by RTMPose (Jiang et al., arXiv 2303.07399) as DWPose distilled it (Yang et al., arXiv
 * 2307.15880); after IDEA-Research/DWPose at 3dca5db `annotator/dwpose/onnxpose.py` and `wholebody.py`.
 *
 * Not here: feet, faces and hands, which the network finds too.
 */
import type { RgbImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import type { Point } from '../base/raster.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import type { Box } from './person-boxes.ts';
import type { Body } from './pose-drawing.ts';

const width = 288;
const height = 384;
/** Places along each side are told in halves of a pixel. */
const placesPerPixel = 2;
const joints = 133;

export const jointFinderShapes = {
  inputs: { input: [1, 3, height, width] },
  outputs: { simcc_x: [1, joints, width * placesPerPixel], simcc_y: [1, joints, height * placesPerPixel] },
};

/** What the network gets to see of a picture. */
export interface View {
  center: Point;
  width: number;
  height: number;
}

const margin = 1.25;

/** The box with a margin, widened or heightened to the network's shape. In float32. */
export function viewOf({ left, top, right, bottom }: Box): View {
  const { fround } = Math;
  const center = { x: fround(fround(left + right) * 0.5), y: fround(fround(top + bottom) * 0.5) };
  const boxWidth = fround(fround(right - left) * margin);
  const boxHeight = fround(fround(bottom - top) * margin);
  const ratio = fround(width / height);
  return boxWidth > fround(boxHeight * ratio)
    ? { center, width: boxWidth, height: fround(boxWidth / ratio) }
    : { center, width: fround(boxHeight * ratio), height: boxHeight };
}

const mean = [123.675, 116.28, 103.53];
const deviation = [58.395, 57.12, 57.375];

/** Red first, normalized, black outside of the picture. [1, 3, H, W] */
export async function jointFinderInput(picture: RgbImage, view: View): Promise<Tensor<'float32'>> {
  const cv = await openCv();
  const { data } = cv.warpAffine(picture, matrixOf(view), width, height);
  const input = float32([1, 3, height, width]);
  const size = width * height;
  for (let channel = 0; channel < 3; channel++) {
    for (let pixel = 0; pixel < size; pixel++) {
      input.data[channel * size + pixel] = (data[pixel * 3 + channel]! - mean[channel]!) / deviation[channel]!;
    }
  }
  return input;
}

/** From the picture to what the network sees: through the same three points as the original's, in float32. */
function matrixOf({ center, width: viewWidth }: View): number[] {
  const up = center.y - Math.fround(center.y - viewWidth / 2);
  const across = center.x - Math.fround(center.x - Math.fround(up));
  const scaleX = width / 2 / across;
  const scaleY = width / 2 / up;
  return [scaleX, 0, width / 2 - scaleX * center.x, 0, scaleY, height / 2 - scaleY * center.y];
}

/** Below it, a joint was not found. */
const leastScore = 0.3;
const leftShoulder = 5;
const rightShoulder = 6;
/** Which joint each of OpenPose's parts is; the neck is none of them. */
const jointOfPart = [0, undefined, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3];

/** @param outputs of the joint finder, named so */
export function readBody(
  { simcc_x, simcc_y }: Readonly<Record<'simcc_x' | 'simcc_y', Tensor<'float32'>>>,
  view: View,
): Body {
  const joint = (index: number): Point | undefined => {
    const x = largest(simcc_x, index);
    const y = largest(simcc_y, index);
    if (!(Math.min(x.value, y.value) > leastScore)) return undefined;
    return {
      x: (x.place / placesPerPixel / width) * view.width + view.center.x - view.width / 2,
      y: (y.place / placesPerPixel / height) * view.height + view.center.y - view.height / 2,
    };
  };
  const [left, right] = [joint(leftShoulder), joint(rightShoulder)];
  const neck = left && right && { x: (left.x + right.x) / 2, y: (left.y + right.y) / 2 };
  return jointOfPart.map((index) => (index === undefined ? neck : joint(index)));
}

/** The first of the largest values of a row. */
function largest({ dims, data }: Tensor<'float32'>, row: number): { place: number; value: number } {
  const length = dims[2]!;
  let place = 0;
  for (let index = 1; index < length; index++) {
    if (data[row * length + index]! > data[row * length + place]!) place = index;
  }
  return { place, value: data[row * length + place]! };
}
