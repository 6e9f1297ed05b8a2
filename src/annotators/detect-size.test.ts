import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type RgbImage, readImage } from '../base/image.ts';
import { resizeForDetection } from './detect-size.ts';

const fixtures = new URL('../../test/fixtures/', import.meta.url);
const photo = await readImage(fileURLToPath(new URL('photos/eileen-collins.jpg', fixtures)));

interface Case {
  width: number;
  height: number;
  seen: { width: number; height: number; sha256: string };
}

const cases: Case[] = JSON.parse(readFileSync(new URL('annotators/hed/detection-sizes.json', fixtures), 'utf8'));

test.each(cases)('$width × $height pixels are seen as the reference sees them', async ({ width, height, seen }) => {
  const { data, ...size } = await resizeForDetection(tiled(width, height), 512);
  const sha256 = createHash('sha256').update(data).digest('hex');
  expect({ ...size, sha256 }).toEqual({ ...seen, channels: 3 });
});

/** The photograph beside and below itself. */
function tiled(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = photo.data.subarray((y % photo.height) * photo.width * 3, ((y % photo.height) + 1) * photo.width * 3);
    for (let x = 0; x < width; x += photo.width) {
      data.set(row.subarray(0, Math.min(photo.width, width - x) * 3), (y * width + x) * 3);
    }
  }
  return { width, height, channels: 3, data };
}

test('a strip that would become too large is refused', async () => {
  const strip: RgbImage = { width: 10_000, height: 50, channels: 3, data: new Uint8Array(10_000 * 50 * 3) };
  await expect(resizeForDetection(strip, 512)).rejects.toThrow(/10000×50/);
});
