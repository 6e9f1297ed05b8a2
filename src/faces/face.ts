/** Left eye, right eye, nose, left and right corner of the mouth: left as one looks at the picture, in its pixels. */
export type FacePoints = readonly (readonly [x: number, y: number])[];

/** A face that was found in a picture. It may reach beyond the picture's edges. */
export interface Face {
  /** Left, top, right and bottom, in pixels of the picture. */
  box: readonly [x1: number, y1: number, x2: number, y2: number];
  /** How sure the detector is: from 0.5 to 1. */
  score: number;
  points: FacePoints;
}
