import { expect, test } from 'vitest';
import { float32 } from '../math/tensor.ts';
import { withinTolerance } from './case.ts';
import { compareTensors, distance } from './compare.ts';

test('the error is the largest difference, and the length of the difference over that of what was expected', () => {
  expect(distance([3, 0, 1], [3, 4, 1])).toEqual({ maxAbs: 4, relL2: 4 / Math.sqrt(26) });
  expect(distance([5n, 2n], [5n, 1n])).toEqual({ maxAbs: 1, relL2: 1 / Math.sqrt(26) });
  const tensors = { a: float32([1], Float32Array.of(2)), b: float32([1], Float32Array.of(1)) };
  expect(compareTensors(tensors, { b: tensors.b })).toEqual([{ output: 'b', maxAbs: 0, relL2: 0 }]);
});

test.each([
  ['a NaN that was not expected', [Number.NaN, 1], [0, 1]],
  ['a NaN in the middle, with a larger difference after it', [0, Number.NaN, 9], [0, 1, 1]],
  ['something where all zeros were expected', [1e-30, 0], [0, 0]],
  ['infinity', [Infinity, 1], [1, 1]],
])('%s is above every tolerance', (_, actual, expected) => {
  const error = { output: 'x', ...distance(actual, expected) };
  expect(withinTolerance(error, 1e9)).toBe(false);
  expect(error.maxAbs).not.toBe(0);
});

test('zeros where zeros were expected agree', () => {
  expect(distance([0, 0], [0, 0])).toEqual({ maxAbs: 0, relL2: 0 });
});
