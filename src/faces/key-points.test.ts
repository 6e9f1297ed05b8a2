/** The picture of key points, against the numbers that OpenCV's Python package gives. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { drawKeyPoints } from './key-points.ts';

const points = [
  [95.3, 110.7],
  [160.9, 108.2],
  [130.4, 150.6],
  [102.8, 185.1],
  [155.2, 183.9],
] as const;

test('the picture of five points is the published one, to the last bit', async () => {
  const { width, height, data } = await drawKeyPoints(points, 256, 256);
  expect([width, height]).toEqual([256, 256]);
  expect(createHash('sha256').update(data).digest('hex')).toBe(
    'c552840defcd62c910af8ec62311f483b22bf74d51816a89e25cb18b6ff8e471',
  );
});
