import { InputError } from '../base/errors.ts';
import type { RgbImage } from '../base/image.ts';
import type { Face } from './face.ts';

/**
 * Stands in for a face where nobody was found, if it may: the detector of the mini set has learned nothing, so with that set
 * a face in the middle is taken for granted, and the log says so.
 *
 * @param set that the detector is of
 * @param nobody of the input that the picture is from: its name, and what the caller is told
 * @throws InputError with these words where the detector is the published one
 */
export function standInFace(
  { width, height }: Pick<RgbImage, 'width' | 'height'>,
  set: 'mini' | 'full',
  { field, message }: { field: string; message: string },
  log: (line: string) => void,
): Face {
  if (set === 'full') throw new InputError(message, field);
  log(
    `Faces: the mini set finds nobody, as its detector is untrained; a face in the middle of ${field} is taken for granted.`,
  );
  return centreFace(width, height);
}

/** A frontal face in the middle of the picture, half as large as its shorter side. */
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
