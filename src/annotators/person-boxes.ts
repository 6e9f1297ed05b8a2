/**
 * Where persons are in a picture, by YOLOX (Ge et al., arXiv 2107.08430), as IDEA-Research/DWPose at 3dca5db
 * `annotator/dwpose/onnxdet.py` reads its results: in float32, and for persons alone of its 80 classes.
 */
import type { RgbImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import { float32, type Tensor } from '../math/tensor.ts';

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Of the network's square picture. */
const side = 640;
const padding = 114;
/** A square of the network's grids has as many pixels each way. */
const strides = [8, 16, 32];
/** A square's box, how sure it is that there is something, and what that might be. */
const valuesPerSquare = 4 + 1 + 80;
const squares = strides.reduce((sum, stride) => sum + (side / stride) ** 2, 0);
const personClass = 5;

export const personDetectorShapes = {
  inputs: { images: [1, 3, side, side] },
  outputs: { output: [1, squares, valuesPerSquare] },
};

const leastScore = 0.3;
const mostOverlap = 0.45;
/** The original has no limit. A network that sees persons everywhere would keep the next one busy for an hour. */
const mostPersons = 100;

/** How much the picture is enlarged for the detector. */
export function detectorScale({ width, height }: RgbImage): number {
  return Math.min(side / height, side / width);
}

/** The picture in the upper left corner, blue first as the network was trained, from 0 to 255. [1, 3, side, side] */
export async function detectorInput(picture: RgbImage): Promise<Tensor<'float32'>> {
  const scale = detectorScale(picture);
  const cv = await openCv();
  const width = Math.trunc(picture.width * scale);
  const height = Math.trunc(picture.height * scale);
  const { data } = cv.resize(picture, width, height, 'linear');
  const images = float32([1, 3, side, side], new Float32Array(3 * side * side).fill(padding));
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        images.data[(channel * side + y) * side + x] = data[(y * width + x) * 3 + 2 - channel]!;
      }
    }
  }
  return images;
}

interface ScoredBox extends Box {
  score: number;
  area: number;
}

/**
 * The persons, the surest first, without boxes that lie on a surer one.
 *
 * @param output of the detector
 * @param scale that its picture was enlarged by
 */
export function readPersons({ data }: Tensor<'float32'>, scale: number): Box[] {
  const candidates: ScoredBox[] = [];
  let square = 0;
  for (const stride of strides) {
    const columns = side / stride;
    for (let index = 0; index < columns ** 2; index++, square++) {
      const values = data.subarray(square * valuesPerSquare, (square + 1) * valuesPerSquare);
      const score = Math.fround(values[4]! * values[personClass]!);
      if (!(score > leastScore)) continue;
      const box = boxOf(values, { x: index % columns, y: Math.floor(index / columns), stride, scale });
      if (isUsable(box)) candidates.push({ ...box, score, area: extent(box) });
    }
  }
  candidates.sort((a, b) => b.score - a.score);
  const persons: ScoredBox[] = [];
  for (const candidate of candidates) {
    if (persons.length === mostPersons) break;
    if (persons.every((person) => overlap(person, candidate) <= mostOverlap)) persons.push(candidate);
  }
  return persons.map(({ left, top, right, bottom }) => ({ left, top, right, bottom }));
}

interface Square {
  x: number;
  y: number;
  stride: number;
  scale: number;
}

function boxOf(values: Float32Array, { x, y, stride, scale }: Square): Box {
  const { fround } = Math;
  const centerX = fround((values[0]! + x) * stride);
  const centerY = fround((values[1]! + y) * stride);
  const halfWidth = fround(fround(fround(Math.exp(values[2]!)) * stride) / 2);
  const halfHeight = fround(fround(fround(Math.exp(values[3]!)) * stride) / 2);
  const inPicture = (place: number): number => fround(fround(place) / fround(scale));
  return {
    left: inPicture(centerX - halfWidth),
    top: inPicture(centerY - halfHeight),
    right: inPicture(centerX + halfWidth),
    bottom: inPicture(centerY + halfHeight),
  };
}

/** No box of a network that was trained is smaller than a pixel, or reaches far beyond any picture. */
function isUsable({ left, top, right, bottom }: Box): boolean {
  const farthest = 100_000;
  return (
    right - left >= 1 &&
    bottom - top >= 1 &&
    left > -farthest &&
    top > -farthest &&
    right < farthest &&
    bottom < farthest
  );
}

/** With the pixels on its edges. */
function extent({ left, top, right, bottom }: Box): number {
  const { fround } = Math;
  return fround(fround(fround(right - left) + 1) * fround(fround(bottom - top) + 1));
}

/** The share of what both cover that both of them cover. */
function overlap(a: ScoredBox, b: ScoredBox): number {
  const { fround, max, min } = Math;
  const width = max(0, fround(fround(min(a.right, b.right) - max(a.left, b.left)) + 1));
  const height = max(0, fround(fround(min(a.bottom, b.bottom) - max(a.top, b.top)) + 1));
  const both = fround(width * height);
  return fround(both / fround(fround(a.area + b.area) - both));
}
