import { expect } from 'vitest';
import type { RgbImage } from '../../src/base/image.ts';

/** Asserts that two pictures are equal to the last bit, and says how many values differ and where the first one is. */
export function expectSamePixels(actual: RgbImage, expected: RgbImage): void {
  expect([actual.width, actual.height], 'width and height').toEqual([expected.width, expected.height]);
  expect(actual.data.length, 'number of values').toBe(expected.data.length);
  if (Buffer.compare(actual.data, expected.data) === 0) return;
  const different = [...expected.data.keys()].filter((index) => actual.data[index] !== expected.data[index]);
  const first = different[0]!;
  const pixel = Math.floor(first / 3);
  expect.fail(
    `${different.length} of ${expected.data.length} values differ. The first is channel ${first % 3} at column ` +
      `${pixel % expected.width}, row ${Math.floor(pixel / expected.width)}: ${actual.data[first]} and not ` +
      `${expected.data[first]}.`,
  );
}
