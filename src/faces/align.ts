import { RuntimeFailure } from '../base/errors.ts';
import type { RgbImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import type { FacePoints } from './face.ts';

/** Side of an aligned face. */
export const alignedSide = 112;

/** Where the points of a frontal face are then: `arcface_dst` of insightface 0.7.3 `utils/face_align.py`, in float32. */
const frontal = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
].map(([x, y]) => [Math.fround(x!), Math.fround(y!)] as const);

/** The face turned upright, of one size, wherever it lies; black where the picture ends. */
export async function alignFace(picture: RgbImage, points: FacePoints): Promise<RgbImage> {
  const cv = await openCv();
  return { ...cv.warpAffine(picture, uprightMatrix(points), alignedSide, alignedSide), channels: 3 };
}

/**
 * The rotation with one scale and a shift that brings the points closest to a frontal face's (Umeyama, PAMI 1991): what
 * `SimilarityTransform.estimate` of skimage finds by singular values, in closed form. A mirrored face stays mirrored.
 *
 * @returns [a, b, c, d, e, f], which bring (x, y) to (ax + by + c, dx + ey + f)
 * @throws RuntimeFailure when all points are one, where the reference goes on with a matrix of NaN
 */
export function uprightMatrix(points: FacePoints): [number, number, number, number, number, number] {
  const [x, y] = meanOf(points);
  const [frontalX, frontalY] = meanOf(frontal);
  let along = 0;
  let across = 0;
  let spread = 0;
  for (const [index, point] of points.entries()) {
    const [dx, dy] = [point[0] - x, point[1] - y];
    const [toX, toY] = [frontal[index]![0] - frontalX, frontal[index]![1] - frontalY];
    along += dx * toX + dy * toY;
    across += dx * toY - dy * toX;
    spread += dx * dx + dy * dy;
  }
  if (!(spread > 0 && Number.isFinite(spread))) {
    throw new RuntimeFailure(
      `The five points of a face lie at one place (${x}, ${y}), so it cannot be turned upright. Send another picture of it.`,
    );
  }
  const [a, b] = [along / spread, across / spread];
  return [a, -b, frontalX - (a * x - b * y), b, a, frontalY - (b * x + a * y)];
}

function meanOf(points: FacePoints): [x: number, y: number] {
  const sum = (axis: 0 | 1): number => points.reduce((total, point) => total + point[axis], 0);
  return [sum(0) / points.length, sum(1) / points.length];
}
