import { expect, test } from 'vitest';
import { WeightError } from '../base/errors.ts';
import type { TensorRef } from './safetensors.ts';
import { weightsOf } from './scope.ts';

function weights(shapes: Record<string, number[]>) {
  const tensors = new Map<string, TensorRef>();
  for (const [name, shape] of Object.entries(shapes)) {
    tensors.set(name, { name, file: 'f', offset: 0, byteLength: 0, dtype: 'F32', shape });
  }
  return weightsOf(tensors, 'unet.safetensors');
}

test('names are reached level by level', () => {
  const w = weights({ 'a.0.b.weight': [2, 3] });
  expect(w.at('a.0').at('b').tensor('weight', [2, 3]).shape).toEqual([2, 3]);
  expect(w.at('a').has('0.b.weight')).toBe(true);
  expect(w.at('a').has('b.weight')).toBe(false);
  expect(w.at('a.0.b').shape('weight')).toEqual([2, 3]);
  expect(() => w.finish()).not.toThrow();
});

test('missing and unused tensors are reported together', () => {
  const w = weights({ 'a.weight': [1], 'a.bias': [1], position_ids: [1, 77] });
  w.tensor('a.weight', [1]);
  w.tensor('b.weight', [1]);
  w.at('c').tensor('weight', [4]);
  expect(() => w.finish((name) => name === 'position_ids')).toThrow(
    /unet\.safetensors does not fit the network\. Missing: b\.weight, c\.weight\. Without a use: a\.bias\./,
  );
});

test('looking at a shape is no use', () => {
  const w = weights({ a: [1] });
  w.shape('a');
  expect(() => w.finish()).toThrow(/Without a use: a\./);
  expect(() => w.shape('b')).toThrow(WeightError);
});

test('a tensor of another shape, or used twice, is refused', () => {
  const w = weights({ a: [2, 3] });
  expect(() => w.tensor('a', [3, 2])).toThrow(/"a" of unet\.safetensors has the shape \[2, 3\], .* needs \[3, 2\]/);
  expect(() => w.tensor('a', [2, 3])).toThrow(/twice/);
});

test('a long list is cut', () => {
  const w = weights(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`t${index}`, [1]])));
  expect(() => w.finish()).toThrow(/t23 and 76 more/);
});
