import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { longestSideSizes, resizeToLongestSide } from './longest-side.ts';

interface Row {
  before: [number, number];
  longest: number;
  after: [number, number] | null;
}
const file = new URL('../../test/fixtures/pipelines/instant-id/sizes.json', import.meta.url);
const rows = JSON.parse(readFileSync(file, 'utf8')) as Row[];

test('sizes are those of the original, and it fails where they are refused here', () => {
  for (const { before, longest, after } of rows) {
    const [width, height] = before;
    const sizes = () => longestSideSizes({ width, height }, longest, 'image').at(-1);
    if (after) expect(sizes(), `${width}×${height} to ${longest}`).toEqual({ width: after[0], height: after[1] });
    else
      expect(sizes, `${width}×${height} to ${longest}`).toThrow(
        /^image is \d+×\d+, too long and narrow: .* Crop it\.$/,
      );
  }
  expect(rows.some(({ after }) => after === null)).toBe(true);
});

test('a picture is resampled twice, once to each size', () => {
  const data = Uint8Array.from({ length: 3 * 6 * 5 }, (_, index) => (index * 37) % 256);
  const picture = resizeToLongestSide({ width: 6, height: 5, channels: 3, data }, 192, 'image');
  expect([picture.width, picture.height]).toEqual([192, 128]);
  expect(picture.data).toHaveLength(192 * 128 * 3);
});
