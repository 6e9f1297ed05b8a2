import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, describe, expect, test } from 'vitest';
import { processorTime } from '../../test/support/processor-time.ts';
import { blendOnWhite, encodePng, type RgbImage, readImage } from './image.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));
const photograph = join(fixtures, 'photos/eileen-collins.jpg');
const files: Record<string, { width: number; height: number; pixels: number[] }> = readJson('files.json');
const hashes: Record<string, string> = readJson('hashes.json');
const folder = mkdtempSync(join(tmpdir(), 'darkroom-image-'));
afterAll(() => rmSync(folder, { recursive: true }));

function readJson(name: string) {
  return JSON.parse(readFileSync(join(fixtures, 'images', name), 'utf8'));
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function write(name: string, content: Uint8Array | string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

describe('reads the pixels that a viewer shows', () => {
  test.each(Object.entries(files))('%s', async (name, expected) => {
    const image = await readImage(join(fixtures, 'images/files', name));
    expect({ ...image, data: [...image.data] }).toEqual({
      width: expected.width,
      height: expected.height,
      channels: 3,
      data: expected.pixels,
    });
  });

  test('a photograph, as Pillow decodes it', async () => {
    const image = await readImage(photograph);
    expect([image.width, image.height]).toEqual([512, 512]);
    expect(sha256(image.data)).toBe(hashes.photograph);
  });

  test.each([
    ['red', [232, 0, 0]],
    ['white', [255, 255, 255]],
    ['black', [20, 5, 0]],
    ['cyan', [0, 153, 227]],
  ])('ink of a CMYK picture without a profile, as on coated paper: %s', async (name, expected) => {
    const { data } = await readImage(join(fixtures, `images/files/cmyk-${name}.jpg`));
    for (let channel = 0; channel < 3; channel++) expect(Math.abs(data[channel]! - expected[channel]!)).toBeLessThan(4);
  });

  test('an AVIF picture', async () => {
    const flat = sharp({ create: { width: 40, height: 30, channels: 3, background: '#3060c0' } });
    const image = await readImage(write('flat.avif', await flat.avif({ quality: 90 }).toBuffer()));
    expect([image.width, image.height]).toEqual([40, 30]);
    for (const [channel, value] of [0x30, 0x60, 0xc0].entries()) {
      expect(Math.abs(image.data[channel]! - value)).toBeLessThan(6);
    }
  });

  test('another colour space, by its profile', async () => {
    const red = sharp({ create: { width: 4, height: 4, channels: 3, background: '#c86464' } });
    const image = await readImage(write('p3.png', await red.withIccProfile('p3').png().toBuffer()));
    // Stored as (188, 105, 103) in Display P3.
    for (const [channel, value] of [200, 100, 100].entries()) {
      expect(Math.abs(image.data[channel]! - value)).toBeLessThan(3);
    }
  });

  test.each([
    [1, 1],
    [10_000, 50],
    [3, 7001],
  ])('%d × %d pixels', async (width, height) => {
    const data = new Uint8Array(width * height * 3).map((_, index) => (index * 7) % 251);
    const image = await readImage(write('size.png', await encodePng({ width, height, channels: 3, data })));
    expect([image.width, image.height, sha256(image.data)]).toEqual([width, height, sha256(data)]);
  });
});

test('transparency is blended as the reference does, for all values and degrees', () => {
  const table = Uint8Array.from({ length: 65_536 }, (_, index) => blendOnWhite(index >> 8, index & 255));
  expect(sha256(table)).toBe(hashes.valueOverAlphaOnWhite);
});

describe('refuses by name', () => {
  const photo = readFileSync(photograph);
  const rgb = readFileSync(join(fixtures, 'images/files/rgb.png'));
  const drawing =
    '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><image href="file:///etc/passwd"/></svg>';
  test.each([
    ['text', 'this is not a picture', /not a picture.*JPEG, PNG, WebP, GIF, AVIF or TIFF/],
    ['an empty file', '', /not a picture/],
    ['a web page', '<!DOCTYPE html><html><body>404</body></html>', /not a picture/],
    ['a drawing that names other files', drawing, /not a picture/],
    ['a drawing with an XML heading', `<?xml version="1.0"?>\n${drawing}`, /not a picture/],
    ['a PDF file', '%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n', /not a picture/],
    ['a bitmap in a format of few readers', 'P6\n2 2\n255\n............', /not a picture/],
    ['a PNG signature alone', rgb.subarray(0, 8), /not a picture|damaged/],
    ['a PNG cut off in its pixels', rgb.subarray(0, rgb.length - 30), /damaged or incomplete/],
    ['a JPEG cut off in its pixels', photo.subarray(0, 30_000), /damaged or incomplete/],
    ['a JPEG cut off in its header', photo.subarray(0, 100), /not a picture|damaged/],
    ['300 megapixels', pngHeader(20_000, 15_000), /20000 × 15000 pixels, more than the 50 million/],
    ['a width of two billion', pngHeader(2 ** 31 - 1, 2), /not a picture|pixels/],
  ])('%s', async (name, content, message) => {
    const path = write(`${name}.jpg`, content);
    let reading!: Promise<unknown>;
    const attempt = () => {
      reading = readImage(path, 'input_image2');
      return reading.catch(() => {});
    };
    expect(await processorTime(attempt)).toBeLessThan(2000);
    await expect(reading).rejects.toThrow(expect.objectContaining({ name: 'InputError', field: 'input_image2' }));
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(/^input_image2 /);
    await expect(reading).rejects.not.toThrow(folder);
  });

  test('a file that is not there', async () => {
    await expect(readImage(join(folder, 'missing.png'))).rejects.toThrow(expect.objectContaining({ field: 'image' }));
  });

  /** A PNG that claims its size and holds almost no pixels. */
  function pngHeader(width: number, height: number): Uint8Array {
    const size = Buffer.alloc(13);
    size.writeUInt32BE(width, 0);
    size.writeUInt32BE(height, 4);
    size.set([8, 2, 0, 0, 0], 8);
    const chunks = [
      chunk('IHDR', size),
      chunk('IDAT', deflateSync(Buffer.alloc(1000))),
      chunk('IEND', Buffer.alloc(0)),
    ];
    return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...chunks]);
  }

  function chunk(type: string, data: Buffer): Buffer {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  }
});

test('a file that was replaced is read anew', async () => {
  const pixel = (value: number): RgbImage => ({
    width: 1,
    height: 1,
    channels: 3,
    data: new Uint8Array(3).fill(value),
  });
  await readImage(write('same.png', await encodePng(pixel(10))));
  const image = await readImage(write('same.png', await encodePng(pixel(200))));
  expect([...image.data]).toEqual([200, 200, 200]);
});

test('the same pixels make the same PNG', async () => {
  const image = await readImage(photograph);
  const [first, second] = [await encodePng(image), await encodePng({ ...image, data: image.data.slice() })];
  expect(sha256(first)).toBe(sha256(second));
  const again = await readImage(write('again.png', first));
  expect(sha256(again.data)).toBe(sha256(image.data));
});
