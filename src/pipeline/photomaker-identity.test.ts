/**
 * Photographs of odd sizes as the identity encoder sees them. Files of every kind: base/image.test.ts; good photographs
 * beside the reference: models/photomaker.test.ts.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp, { type Sharp } from 'sharp';
import { afterAll, expect, test } from 'vitest';
import { readPhotograph } from './photomaker-identity.ts';

const folder = mkdtempSync(join(tmpdir(), 'darkroom-photographs-'));
afterAll(() => rmSync(folder, { recursive: true }));

const side = 28;
const area = side * side;

async function read(picture: Sharp, name: string) {
  const path = join(folder, name);
  await picture.toFile(path);
  return await readPhotograph(path, 'input_image3', side);
}
function plane(width: number, height: number, background: { r: number; g: number; b: number; alpha?: number }): Sharp {
  const channels = background.alpha === undefined ? 3 : 4;
  return sharp({ create: { width, height, channels, background } });
}
const orange = { r: 255, g: 128, b: 0 };

/** Bytes of a picture of one colour, taken back from the numbers that CLIP is given. */
function colourOf({ data }: { data: Float32Array }): number[] {
  const mean = [0.48145466, 0.4578275, 0.40821073];
  const deviation = [0.26862954, 0.26130258, 0.27577711];
  return mean.map((value, channel) => {
    const channelData = data.subarray(channel * area, (channel + 1) * area);
    expect(Math.max(...channelData) - Math.min(...channelData)).toBeLessThan(1e-6);
    return Math.round((channelData[0]! * deviation[channel]! + value) * 255);
  });
}

test.each([
  ['a single pixel', plane(1, 1, orange)],
  ['as long as may be', plane(50, 1, orange)],
  ['opaque', plane(30, 20, { ...orange, alpha: 1 })],
])('%s: the colour that was sent', async (name, picture) => {
  const photograph = await read(picture, `${name}.png`);
  expect(photograph.dims).toEqual([1, 3, side, side]);
  expect(colourOf(photograph)).toEqual([255, 128, 0]);
});

test('transparent places are white, whatever lies under them', async () => {
  expect(colourOf(await read(plane(30, 20, { ...orange, alpha: 0 }), 'clear.png'))).toEqual([255, 255, 255]);
});

test('one that EXIF turns is upright', async () => {
  const photo = fileURLToPath(new URL('../../test/fixtures/photos/eileen-collins.jpg', import.meta.url));
  const small = sharp(await sharp(photo).resize(60, 90, { fit: 'fill' }).png().toBuffer());
  const upright = await read(small.clone(), 'upright.png');
  const turned = await read(small.rotate(-90).withMetadata({ orientation: 6 }), 'turned.png');
  expect(turned).toEqual(upright);
});

test.each([
  [10_000, 50],
  [51, 1],
  [1, 51],
])('a strip of %i×%i is refused', async (width, height) => {
  const message = new RegExp(`^input_image3 is ${width}×${height}, a strip .* crop it`);
  await expect(read(plane(width, height, orange), `strip-${width}-${height}.png`)).rejects.toThrow(
    expect.objectContaining({ name: 'InputError', field: 'input_image3', message: expect.stringMatching(message) }),
  );
});
