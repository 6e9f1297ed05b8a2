import { expect, test } from 'vitest';
import { roundHalfToEven } from './round.ts';

test('halves are rounded to even, as numpy does', () => {
  expect([0.5, 1.5, 2.5, 3.5, 2.4999, 254.5].map(roundHalfToEven)).toEqual([0, 2, 2, 4, 2, 254]);
  expect([-0.5, -1.5, -2.5].map((value) => roundHalfToEven(value) + 0)).toEqual([0, -2, -2]);
});
