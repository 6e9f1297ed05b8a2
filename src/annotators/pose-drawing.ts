/** Bodies as ControlNets were shown them: huggingface/controlnet_aux v0.0.3 and v0.0.7 `open_pose/util.py`, `draw_bodypose`. */
import type { RgbImage } from '../base/image.ts';
import { type OpenCv, openCv } from '../base/opencv.ts';
import type { Point } from '../base/raster.ts';
import { drawnLimbs, limbs, partCount } from './pose-parts.ts';

/** Of each part, where it is in pixels; `undefined` where it was not found. */
export type Body = readonly (Point | undefined)[];

/** In red, green and blue; of limbs and of joints. */
const colors = [
  [255, 0, 0],
  [255, 85, 0],
  [255, 170, 0],
  [255, 255, 0],
  [170, 255, 0],
  [85, 255, 0],
  [0, 255, 0],
  [0, 255, 85],
  [0, 255, 170],
  [0, 255, 255],
  [0, 170, 255],
  [0, 85, 255],
  [0, 0, 255],
  [85, 0, 255],
  [170, 0, 255],
  [255, 0, 255],
  [255, 0, 170],
  [255, 0, 85],
] as const;

const halfThickness = 4;
const jointRadius = 4;

/** On black: limbs at six tenths of their brightness, joints above them. */
export async function drawBodies(bodies: readonly Body[], width: number, height: number): Promise<RgbImage> {
  const cv = await openCv();
  const picture = blackPicture(width, height);
  const stored = bodies.map((body) => throughShares(body, picture));
  for (let limb = 0; limb < drawnLimbs; limb++) {
    for (const body of stored) drawLimb(cv, picture, body, limb, colors[limb]!);
  }
  picture.data.forEach((value, index) => {
    picture.data[index] = dimmed(value);
  });
  for (let part = 0; part < partCount; part++) {
    for (const body of stored) drawJoint(cv, picture, body, part);
  }
  return picture;
}

/** As v0.0.7: the limbs of a person may cover the joints of those before. */
export async function drawOneByOne(bodies: readonly Body[], width: number, height: number): Promise<RgbImage> {
  const cv = await openCv();
  const picture = blackPicture(width, height);
  for (const body of bodies.map((found) => throughShares(found, picture))) {
    for (let limb = 0; limb < drawnLimbs; limb++) drawLimb(cv, picture, body, limb, colors[limb]!.map(dimmed));
    for (let part = 0; part < partCount; part++) drawJoint(cv, picture, body, part);
  }
  return picture;
}

function blackPicture(width: number, height: number): RgbImage {
  return { width, height, channels: 3, data: new Uint8Array(width * height * 3) };
}

function dimmed(value: number): number {
  return Math.trunc(value * 0.6);
}

function drawLimb(cv: OpenCv, picture: RgbImage, body: Body, limb: number, color: readonly number[]): void {
  const [from, to] = limbs[limb]!;
  const [a, b] = [body[from], body[to]];
  if (!a || !b) return;
  const middle = { x: Math.trunc((a.x + b.x) / 2), y: Math.trunc((a.y + b.y) / 2) };
  const length = Math.sqrt((a.y - b.y) ** 2 + (a.x - b.x) ** 2);
  const angle = Math.trunc(Math.atan2(a.y - b.y, a.x - b.x) * (180 / Math.PI));
  const axes = { x: Math.trunc(length / 2), y: halfThickness };
  const corners = cv.ellipsePolygon(middle, axes, angle, 0, 360, 1);
  drawAround(picture, corners, 0, (window, moved) => cv.fillConvexPolygon(window, moved, color));
}

function drawJoint(cv: OpenCv, picture: RgbImage, body: Body, part: number): void {
  const point = body[part];
  if (!point) return;
  const center = { x: Math.trunc(point.x), y: Math.trunc(point.y) };
  drawAround(picture, [center], jointRadius, (window, [moved]) =>
    cv.circle(window, moved!, jointRadius, colors[part]!),
  );
}

/** The original keeps places as shares of the sides; the way there and back can cost a pixel. */
function throughShares(body: Body, { width, height }: RgbImage): Body {
  return body.map((point) => point && { x: (point.x / width) * width, y: (point.y / height) * height });
}

/**
 * Draws into the part of the picture around these points: of the whole one, OpenCV would take a copy for each shape. The
 * part ends where the picture ends or where nothing is drawn, so that the pixels are the same.
 */
function drawAround(
  picture: RgbImage,
  points: readonly Point[],
  reach: number,
  draw: (window: RgbImage, moved: Point[]) => void,
): void {
  const left = Math.max(0, Math.min(...points.map(({ x }) => x)) - reach - 1);
  const top = Math.max(0, Math.min(...points.map(({ y }) => y)) - reach - 1);
  const right = Math.min(picture.width, Math.max(...points.map(({ x }) => x)) + reach + 2);
  const bottom = Math.min(picture.height, Math.max(...points.map(({ y }) => y)) + reach + 2);
  if (left >= right || top >= bottom) return;
  const window: RgbImage = { width: right - left, height: bottom - top, channels: 3, data: new Uint8Array(0) };
  const rowLength = window.width * 3;
  const start = (y: number): number => ((top + y) * picture.width + left) * 3;
  window.data = new Uint8Array(window.height * rowLength);
  for (let y = 0; y < window.height; y++) {
    window.data.set(picture.data.subarray(start(y), start(y) + rowLength), y * rowLength);
  }
  draw(
    window,
    points.map(({ x, y }) => ({ x: x - left, y: y - top })),
  );
  for (let y = 0; y < window.height; y++) {
    picture.data.set(window.data.subarray(y * rowLength, (y + 1) * rowLength), start(y));
  }
}
