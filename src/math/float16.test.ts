import { expect, test } from 'vitest';
import { bfloat16ToFloat, floatToBfloat16, floatToHalf, halfToFloat } from './float16.ts';

test('every half that is not NaN survives the way there and back', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = halfToFloat(bits);
    if (!Number.isNaN(value)) expect(floatToHalf(value)).toBe(bits);
  }
  expect(halfToFloat(floatToHalf(Number.NaN))).toBeNaN();
});

test.each([
  [0x3c00, 1],
  [0xc000, -2],
  [0x7bff, 65504],
  [0x0001, 2 ** -24],
  [0x3555, 0.333251953125],
])('half %i is %f', (bits, value) => expect(halfToFloat(bits)).toBe(value));

test('values between two halves go to the nearest, ties to the even one', () => {
  expect(floatToHalf(1 + 2 ** -11)).toBe(0x3c00);
  expect(floatToHalf(1 + 3 * 2 ** -11)).toBe(0x3c02);
  expect(floatToHalf(65519)).toBe(0x7bff);
  expect(floatToHalf(65520)).toBe(0x7c00);
  expect(floatToHalf(2 ** -25)).toBe(0);
  expect(floatToHalf(3 * 2 ** -25)).toBe(2);
  expect(floatToHalf(2047.9 / 1024)).toBe(0x4000);
});

test('bfloat16 rounds to nearest, ties to even', () => {
  expect(bfloat16ToFloat(0x3f80)).toBe(1);
  expect(floatToBfloat16(1 + 2 ** -8)).toBe(0x3f80);
  expect(floatToBfloat16(1 + 3 * 2 ** -8)).toBe(0x3f82);
  expect(floatToBfloat16(-3.5)).toBe(0xc060);
  expect(bfloat16ToFloat(floatToBfloat16(Number.NaN))).toBeNaN();
});
