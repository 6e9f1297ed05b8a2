/**
 * Strokes as of a thick pen, white on black: the ridges of soft edges; after huggingface/controlnet_aux v0.0.3
 * `hed/__init__.py` (`scribble=True`, `nms`).
 */
import { openCv } from '../base/opencv.ts';
import type { Raster } from '../base/raster.ts';
import { apacheDetector, bsdsDetector, edgeAnnotator } from './hed.ts';

export const scribble = edgeAnnotator(bsdsDetector, drawStrokes);

/** Somewhat other strokes, by weights that may be used for everything. */
export const freeScribble = edgeAnnotator(apacheDetector, drawStrokes);

const sigma = 3;
/** How certain an edge is that becomes a stroke, of 255. */
const certain = 127;
/** Of a line of one pixel, blurred: all but the outermost of it. */
const visible = 4;

/** @param edges one channel */
export async function drawStrokes(edges: Raster<Uint8Array>): Promise<Raster<Uint8Array>> {
  const cv = await openCv();
  const smooth = cv.gaussianBlur({ ...edges, data: Float32Array.from(edges.data) }, sigma);
  const highest = directions.map((kernel) => cv.dilate(smooth, kernel).data);
  const isRidge = (value: number, pixel: number): boolean => highest.some((values) => values[pixel] === value);
  const ridges = whiteWhere(smooth, (value, pixel) => value > certain && isRidge(value, pixel));
  return whiteWhere(cv.gaussianBlur(ridges, sigma), (value) => value > visible);
}

function whiteWhere(
  { width, height, data }: Raster,
  condition: (value: number, pixel: number) => boolean,
): Raster<Uint8Array> {
  const white = Uint8Array.from(data as ArrayLike<number>, (value, pixel) => (condition(value, pixel) ? 255 : 0));
  return { width, height, channels: 1, data: white };
}

/** A ridge is as high as its neighbours in at least one of these directions. */
const directions = [
  [
    [0, 0, 0],
    [1, 1, 1],
    [0, 0, 0],
  ],
  [
    [0, 1, 0],
    [0, 1, 0],
    [0, 1, 0],
  ],
  [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  [
    [0, 0, 1],
    [0, 1, 0],
    [1, 0, 0],
  ],
];
