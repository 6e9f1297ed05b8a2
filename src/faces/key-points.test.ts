/** The picture of key points, against InstantID's `draw_kps`. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { faceCases } from '../../test/support/face-fixtures.ts';
import type { FacePoints } from './face.ts';
import { drawKeyPoints } from './key-points.ts';

interface Case {
  name: string;
  width: number;
  height: number;
  points: FacePoints;
  /** Pixels that are not black. */
  drawn: number;
  /** Of the pixels. */
  sha256: string;
}

test.each(faceCases<Case>('drawings.json'))('$name', async ({ name: _, points, drawn, sha256, ...size }) => {
  const { width, height, data } = await drawKeyPoints(points, size.width, size.height);
  expect({ width, height }).toEqual(size);
  let count = 0;
  for (let at = 0; at < data.length; at += 3) if (data[at]! + data[at + 1]! + data[at + 2]! > 0) count++;
  expect(count).toBe(drawn);
  expect(createHash('sha256').update(data).digest('hex')).toBe(sha256);
});

test('points at the end of what a detector may say are drawn where they can be', async () => {
  const far = 9_999_999;
  const points = [
    [-far, -far],
    [far, -far],
    [20, 20],
    [-far, far],
    [far, far],
  ] as const;
  const { data } = await drawKeyPoints(points, 64, 40);
  expect([...data.subarray((20 * 64 + 20) * 3, (20 * 64 + 21) * 3)]).toEqual([0, 0, 255]);
});
