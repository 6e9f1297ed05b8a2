import type { Face } from './face.ts';

/**
 * The face with the largest (x2 − x1) · y2 − y1, the last of equal ones. An area is what the originals meant: a wide face
 * low in the picture wins. As zsxkib/InstantID at b8dc74a `cog/predict.py` and fofr/cog-face-to-many choose.
 *
 * @param faces at least one
 */
export function widestLowestFace(faces: readonly Face[]): Face {
  return faces.reduce((best, face) => (wideAndLow(face) >= wideAndLow(best) ? face : best));
}

function wideAndLow({ box: [x1, y1, x2, y2] }: Face): number {
  const { fround } = Math;
  return fround(fround(fround(x2 - x1) * y2) - y1);
}
