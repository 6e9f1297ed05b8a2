import type { Face } from './face.ts';

/**
 * Stands in for a face where the mini set, whose detector has learned nothing, finds none: a frontal one in the middle of
 * the picture, half as large as its shorter side. Models take it of the mini set alone, and say so in their log.
 */
export function centreFace(width: number, height: number): Face {
  const side = Math.min(width, height) / 2;
  const left = (width - side) / 2;
  const top = (height - side) / 2;
  return {
    box: [left, top, left + side, top + side],
    score: 0.5,
    points: shares.map(([x, y]) => [left + side * x, top + side * y] as const),
  };
}

/** Of the box: where the points of a frontal face lie. */
const shares = [
  [0.342, 0.462],
  [0.657, 0.46],
  [0.5, 0.641],
  [0.371, 0.825],
  [0.632, 0.823],
] as const;
