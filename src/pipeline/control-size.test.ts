import { expect, test } from 'vitest';
import { controlSize, unlimitedControlSize } from './control-size.ts';

test.each([
  // [width, height, resolution] -> [width, height]; the expected sizes follow the reference's numpy expressions.
  [512, 512, 512, 512, 512],
  [512, 704, 768, 768, 1024], // 1056 / 64 = 16.5 goes to the even 16
  [640, 480, 512, 704, 512], // 682.67
  [1024, 768, 512, 704, 512],
  [1920, 1080, 512, 896, 512],
  [1080, 1920, 256, 256, 448],
  [3, 5, 256, 256, 448], // 426.67
  [1, 1, 768, 768, 768],
  [512, 560, 512, 512, 576], // 8.75
  [512, 544, 512, 512, 512], // 8.5 goes to the even 8
  [512, 608, 512, 512, 640], // 9.5 goes to the even 10
])('%i×%i at %i gives %i×%i', (width, height, resolution, expectedWidth, expectedHeight) => {
  expect(controlSize({ width, height }, resolution)).toEqual({ width: expectedWidth, height: expectedHeight });
});

test('a strip that would become huge is refused with its sizes', () => {
  const strip = { width: 10_000, height: 50 };
  expect(() => controlSize(strip, 512)).toThrow(/10000×50.*102400×512.*[Cc]rop/);
  expect(unlimitedControlSize(strip, 512)).toEqual({ width: 102_400, height: 512 });
});
