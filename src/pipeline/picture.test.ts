import { expect, test } from 'vitest';
import { float32 } from '../math/tensor.ts';
import { pictureToTensor, tensorToPicture } from './picture.ts';

test('a picture becomes planes, and planes become a picture', () => {
  const picture = { width: 2, height: 1, channels: 3 as const, data: Uint8Array.of(0, 51, 255, 102, 153, 204) };
  const planes = pictureToTensor(picture);
  expect(planes.dims).toEqual([1, 3, 1, 2]);
  expect([...planes.data].map((value) => Math.round(value * 255))).toEqual([0, 102, 51, 153, 255, 204]);
  const symmetric = float32(
    planes.dims,
    planes.data.map((value) => value * 2 - 1),
  );
  expect(tensorToPicture(symmetric)).toEqual(picture);
});

test('values outside −1…1 are clamped', () => {
  expect([...tensorToPicture(float32([1, 3, 1, 1], Float32Array.of(-7, 0, 3))).data]).toEqual([0, 128, 255]);
});
