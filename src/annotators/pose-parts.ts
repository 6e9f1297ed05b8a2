/** OpenPose's 18 parts of a body: nose, neck, right arm, left arm, right leg, left leg, eyes, ears. */
export const partCount = 18;

/** A pair of parts, counted from 0, that a limb joins. */
export type Limb = readonly [from: number, to: number];

/** The order decides how persons are put together, and which colour a limb has. */
export const limbs: readonly Limb[] = [
  [1, 2],
  [1, 5],
  [2, 3],
  [3, 4],
  [5, 6],
  [6, 7],
  [1, 8],
  [8, 9],
  [9, 10],
  [1, 11],
  [11, 12],
  [12, 13],
  [1, 0],
  [0, 14],
  [14, 16],
  [0, 15],
  [15, 17],
  [2, 16],
  [5, 17],
];

/** The last two, from shoulder to ear, tell persons apart; they begin no person and are not drawn. */
export const drawnLimbs = 17;
