import { expect, test } from 'vitest';
import { centreFace } from './centre-face.ts';
import { widestLowestFace } from './choose.ts';
import type { Face } from './face.ts';

const face = (...box: Face['box']): Face => ({ box, score: 0.9, points: [] });

test('one face is chosen', () => {
  const only = face(1, 2, 3, 4);
  expect(widestLowestFace([only])).toBe(only);
});

test('a wide face low in the picture is chosen before a larger one', () => {
  const large = face(0, 0, 100, 140);
  const low = face(0, 300, 60, 340);
  expect(widestLowestFace([large, low])).toBe(low);
  expect(widestLowestFace([low, large])).toBe(low);
});

test('of equal ones the last is chosen, as the originals sort', () => {
  const [first, last] = [face(0, 10, 20, 30), face(40, 10, 60, 30)];
  expect(widestLowestFace([first, last])).toBe(last);
});

test('the face that stands in lies in the middle, in proportion', () => {
  const { box, points } = centreFace(640, 400);
  expect(box).toEqual([220, 100, 420, 300]);
  expect(points.length).toBe(5);
  for (const [x, y] of points) {
    expect(x > 220 && x < 420 && y > 100 && y < 300).toBe(true);
  }
  const [leftEye, rightEye, nose, ...mouth] = points;
  expect(leftEye![0]).toBeLessThan(nose![0]);
  expect(nose![0]).toBeLessThan(rightEye![0]);
  for (const [, y] of mouth) expect(y).toBeGreaterThan(nose![1]);
});
