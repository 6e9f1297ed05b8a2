import { type Keep, type Library, type Mat, toMat, withMemory } from './opencv-library.ts';
import type { Point, Raster } from './raster.ts';

/** Every shape is drawn into the picture that is given, without smoothing. Points are whole pixels. */
export interface Drawing {
  /** Of one pixel's width. */
  line(picture: Raster<Uint8Array>, from: Point, to: Point, color: Color): void;
  /** A disc. */
  circle(picture: Raster<Uint8Array>, center: Point, radius: number, color: Color): void;
  fillConvexPolygon(picture: Raster<Uint8Array>, corners: readonly Point[], color: Color): void;
  /**
   * Points of an ellipse, or of a part of it, `step` degrees apart.
   *
   * @param axes half the width and half the height, before the ellipse is turned by `angle` degrees, clockwise
   */
  ellipsePolygon(center: Point, axes: Point, angle: number, start: number, end: number, step: number): Point[];
}

/** One value for each channel of the picture. */
export type Color = readonly number[];

export function drawing(cv: Library): Drawing {
  function draw(picture: Raster<Uint8Array>, shape: (mat: Mat, keep: Keep) => void): void {
    withMemory(cv, (keep) => {
      const mat = keep(toMat(cv, picture));
      shape(mat, keep);
      picture.data.set(mat.data);
    });
  }

  /** A column of points, as OpenCV wants them. */
  function pointsMat(points: readonly Point[]): Mat {
    const mat = new cv.Mat(points.length, 1, cv.CV_32SC2);
    mat.data32S.set(points.flatMap(({ x, y }) => [x, y]));
    return mat;
  }

  const scalar = (color: Color) => new cv.Scalar(...color);

  return {
    line: (picture, from, to, color) => draw(picture, (mat) => cv.line(mat, from, to, scalar(color))),
    circle: (picture, center, radius, color) =>
      draw(picture, (mat) => cv.circle(mat, center, radius, scalar(color), cv.FILLED)),
    fillConvexPolygon: (picture, corners, color) =>
      draw(picture, (mat, keep) => cv.fillConvexPoly(mat, keep(pointsMat(corners)), scalar(color))),
    ellipsePolygon: (center, axes, angle, start, end, step) =>
      withMemory(cv, (keep) => {
        const points = keep(new cv.PointVector());
        cv.ellipse2Poly(center, new cv.Size(axes.x, axes.y), angle, start, end, step, points);
        return Array.from({ length: points.size() }, (_, index) => points.get(index));
      }),
  };
}
