/**
 * What the detector SCRFD (Guo et al., arXiv 2105.04714) says of a picture, as insightface 0.7.3
 * `model_zoo/retinaface.py` reads it: its `RetinaFace` is the class that `model_zoo.py` takes for a file of nine outputs.
 * In float32, as there.
 */
import { RuntimeFailure } from '../base/errors.ts';
import { anySize } from '../onnx/model.ts';
import type { Face } from './face.ts';

/** Pixels of the detector's square between two places of each grid. */
const strides = [8, 16, 32];
/** Sizes of faces that are looked for at each place. */
const facesPerPlace = 2;
const leastScore = 0.5;
const mostOverlap = Math.fround(0.4);
/** No picture has such a pixel: the network is damaged. */
const farthest = 1e7;

/** Of the scores of each grid, then of the boxes, then of the points. @param side of the square, or `anySize` */
export function detectorOutputs(side: number): (readonly [count: number, values: number])[] {
  const places = (stride: number): number => (side === anySize ? anySize : facesPerPlace * (side / stride) ** 2);
  return [1, 4, 10].flatMap((values) => strides.map((stride) => [places(stride), values] as const));
}

/**
 * The faces, the surest first; of equally sure ones in the order of the grids. (The reference has that order for up to 16
 * candidates, and beyond that whichever its sorting happens to leave.)
 *
 * @param outputs of the detector, in its order
 * @param side of its square, and the scale of the picture in it
 */
export function readFaces(outputs: readonly Float32Array[], side: number, scale: number): Face[] {
  const counts = detectorOutputs(side).map(([count, values]) => count * values);
  if (outputs.some(({ length }, index) => length !== counts[index])) throw damaged();
  const found = strides.flatMap((stride, grid) => {
    const [scores, boxes, points] = [outputs[grid]!, outputs[grid + 3]!, outputs[grid + 6]!];
    const columns = side / stride;
    const faces: Face[] = [];
    for (let index = 0; index < scores.length; index++) {
      const score = scores[index]!;
      if (Number.isNaN(score)) throw damaged();
      if (score < leastScore) continue;
      const place = Math.floor(index / facesPerPlace);
      const x = (place % columns) * stride;
      const y = Math.floor(place / columns) * stride;
      /** Of the picture, so many strides from this place. */
      const pixel = (from: number, distance: number): number => {
        const { fround } = Math;
        const value = fround(fround(from + fround(distance * stride)) / fround(scale));
        if (!(Math.abs(value) < farthest)) throw damaged();
        return value;
      };
      const [box, point] = [4 * index, 10 * index];
      faces.push({
        box: [pixel(x, -boxes[box]!), pixel(y, -boxes[box + 1]!), pixel(x, boxes[box + 2]!), pixel(y, boxes[box + 3]!)],
        score,
        points: [0, 2, 4, 6, 8].map(
          (value) => [pixel(x, points[point + value]!), pixel(y, points[point + value + 1]!)] as const,
        ),
      });
    }
    return faces;
  });
  return withoutOverlaps(found.sort((a, b) => b.score - a.score));
}

/** Without those that lie on a surer one. */
function withoutOverlaps(faces: readonly Face[]): Face[] {
  const areas = faces.map(({ box: [x1, y1, x2, y2] }) => Math.fround(extent(x1, x2) * extent(y1, y2)));
  const kept: number[] = [];
  for (const [index, { box }] of faces.entries()) {
    const isOther = (surer: number): boolean =>
      overlap(faces[surer]!.box, areas[surer]!, box, areas[index]!) <= mostOverlap;
    if (kept.every(isOther)) kept.push(index);
  }
  return kept.map((index) => faces[index]!);
}

/** The share of what both cover that both of them cover. */
function overlap(a: Face['box'], areaOfA: number, b: Face['box'], areaOfB: number): number {
  const { fround, max, min } = Math;
  const width = extent(max(a[0], b[0]), min(a[2], b[2]));
  const height = extent(max(a[1], b[1]), min(a[3], b[3]));
  const both = fround(max(0, width) * max(0, height));
  return fround(both / fround(fround(areaOfA + areaOfB) - both));
}

/** With the pixels at both ends. */
function extent(from: number, to: number): number {
  return Math.fround(Math.fround(to - from) + 1);
}

function damaged(): RuntimeFailure {
  return new RuntimeFailure(
    'The face detector returned values that are no places in a picture. Its weights may be damaged: download antelopev2 again.',
  );
}
