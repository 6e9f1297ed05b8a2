import { expect, test } from 'vitest';
import { compare, expectClose } from './expect-close.ts';

test('measures the relative L2 error, the cosine and the largest difference', () => {
  const { relL2, cosine, largest } = compare([3, 4.5], [3, 4]);
  expect(relL2).toBeCloseTo(0.1);
  expect(cosine).toBeCloseTo(27 / (5 * Math.sqrt(29.25)));
  expect(largest).toEqual({ index: 1, difference: 0.5 });
});

test('fails on a difference, on NaN and on another number of values, and says where', () => {
  expectClose([1, 2], [1, 2.0001], { relL2: 1e-4 });
  expect(() => expectClose([1, 2], [1, 2.1], { relL2: 1e-2 })).toThrow(/at 1 of 2/);
  expect(() => expectClose([1, Number.NaN, 3], [1, 2, 3], { relL2: 1 })).toThrow(/NaN, is at 1 of 3/);
  expect(() => expectClose([1], [1, 2], { relL2: 1 })).toThrow(/number of values/);
});
