import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { expectSamePixels } from '../../test/support/expect-same-pixels.ts';
import { encodeImage } from './encode-image.ts';
import { type RgbImage, readImage } from './image.ts';

const photo = new URL('../../test/fixtures/photos/eileen-collins.jpg', import.meta.url).pathname;

function meanDifference(one: Uint8Array, other: Uint8Array): number {
  return one.reduce((sum, value, index) => sum + Math.abs(value - other[index]!), 0) / one.length;
}

async function decode(bytes: Uint8Array): Promise<RgbImage> {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, data: new Uint8Array(data) };
}

test('a better quality is nearer to the picture and takes more bytes; 0 is the worst', async () => {
  const picture = await readImage(photo);
  for (const format of ['webp', 'jpg'] as const) {
    const sizes: number[] = [];
    const distances: number[] = [];
    for (const quality of [0, 10, 80, 100]) {
      const { bytes } = await encodeImage(picture, format, quality);
      sizes.push(bytes.length);
      distances.push(meanDifference((await decode(bytes)).data, picture.data));
    }
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    expect(distances).toEqual(distances.toSorted((a, b) => b - a));
    expect(new Set(sizes).size).toBe(4);
  }
});

test.each([
  ['webp', 80, 'encoded-80.webp'],
  ['webp', 3, 'encoded-3.webp'],
  ['jpg', 80, 'encoded-80.jpeg'],
  ['jpg', 0, 'encoded-0.jpeg'],
] as const)('%s of quality %i: the pixels that Pillow’s has', async (format, quality, file) => {
  const place = (name: string): string =>
    new URL(`../../test/fixtures/pipelines/instant-id/${name}`, import.meta.url).pathname;
  const { bytes } = await encodeImage(await readImage(place('encoded.png')), format, quality);
  expectSamePixels(await decode(bytes), await decode(readFileSync(place(file))));
});

test('PNG keeps every pixel, whatever the quality', async () => {
  const picture = await readImage(photo);
  const [one, other] = [await encodeImage(picture, 'png', 0), await encodeImage(picture, 'png', 100)];
  expect(one.bytes).toEqual(other.bytes);
  expect(meanDifference((await decode(one.bytes)).data, picture.data)).toBe(0);
});

test('files are named and declared as what they are, and colours of JPEG have half the resolution', async () => {
  const picture = await readImage(photo);
  const encoded = [];
  for (const format of ['webp', 'jpg', 'png'] as const) encoded.push(await encodeImage(picture, format, 95));
  expect(encoded.map(({ ending, contentType }) => [ending, contentType])).toEqual([
    ['webp', 'image/webp'],
    ['jpeg', 'image/jpeg'],
    ['png', 'image/png'],
  ]);
  const found = await Promise.all(encoded.map(({ bytes }) => sharp(bytes).metadata()));
  expect(found.map(({ format }) => format)).toEqual(['webp', 'jpeg', 'png']);
  expect(found[1]!.chromaSubsampling).toBe('4:2:0');
});
