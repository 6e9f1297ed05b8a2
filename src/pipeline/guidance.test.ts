import { expect, test } from 'vitest';
import { float32 } from '../math/tensor.ts';
import { classifierFreeGuidance, duplicate } from './guidance.ts';

test('guidance moves from the unconditional half towards the conditional half', () => {
  const prediction = float32([2, 1, 1, 2], Float32Array.of(1, -2, 2, 0));
  expect([...classifierFreeGuidance(prediction, 1)]).toEqual([2, 0]);
  expect([...classifierFreeGuidance(prediction, 9)]).toEqual([10, 16]);
  expect([...classifierFreeGuidance(prediction, 0)]).toEqual([1, -2]);
});

test('a batch is duplicated in order', () => {
  expect([...duplicate(Float32Array.of(1, 2, 3))]).toEqual([1, 2, 3, 1, 2, 3]);
});
