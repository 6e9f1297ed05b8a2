import type { RgbImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import type { Point } from '../base/raster.ts';
import type { FacePoints } from './face.ts';

/** Of each of the points; limbs have that of their outer end. */
const colors = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [255, 255, 0],
  [255, 0, 255],
] as const;
const nose = 2;
/** The points that a limb joins with the nose. */
const limbs = [0, 1, 3, 4];
/** Half the width of a limb where it is widest. */
const limbWidth = 4;
const dotRadius = 10;
/** Of the colours of the limbs. */
const dimmed = 0.6;

/**
 * The picture that IdentityNet follows: the five points of a face as coloured dots, and limbs between them and the nose.
 * As `draw_kps` of zsxkib/InstantID at b8dc74a `pipeline_stable_diffusion_xl_instantid.py`, whose points are of float32.
 */
export async function drawKeyPoints(points: FacePoints, width: number, height: number): Promise<RgbImage> {
  const cv = await openCv();
  const picture: RgbImage = { width, height, channels: 3, data: new Uint8Array(3 * width * height) };
  for (const index of limbs) {
    const { center, length, angle } = limbBetween(points[index]!, points[nose]!);
    const polygon = cv.ellipsePolygon(
      center,
      { x: Math.trunc(length / 2), y: limbWidth },
      Math.trunc(angle),
      0,
      360,
      1,
    );
    cv.fillConvexPolygon(picture, polygon, colors[index]!);
  }
  for (let index = 0; index < picture.data.length; index++) picture.data[index]! *= dimmed;
  for (const [index, [x, y]] of points.entries()) {
    cv.circle(picture, { x: Math.trunc(x), y: Math.trunc(y) }, dotRadius, colors[index]!);
  }
  return picture;
}

interface Limb {
  center: Point;
  length: number;
  /** In degrees. */
  angle: number;
}

function limbBetween(from: FacePoints[number], to: FacePoints[number]): Limb {
  const { fround } = Math;
  const [dx, dy] = [fround(from[0] - to[0]), fround(from[1] - to[1])];
  const middle = (axis: 0 | 1): number => Math.trunc(fround(fround(from[axis] + to[axis]) / 2));
  return {
    center: { x: middle(0), y: middle(1) },
    length: Math.sqrt(dx * dx + dy * dy),
    angle: (Math.atan2(dy, dx) * 180) / Math.PI,
  };
}
