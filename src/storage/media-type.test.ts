import sharp from 'sharp';
import { expect, test } from 'vitest';
import { endingOf, isPassive, sniffMediaType, unknownMediaType } from './media-type.ts';

const picture = sharp({ create: { width: 3, height: 2, channels: 3, background: '#c40' } });

test.each(['png', 'jpeg', 'webp', 'gif', 'avif', 'tiff'] as const)(
  'a %s that sharp wrote is recognised',
  async (format) => {
    const bytes = await picture.clone().toFormat(format).toBuffer();
    expect(sniffMediaType(bytes)).toBe(`image/${format}`);
  },
);

test.each([
  ['video/mp4', '\0\0\0\x20ftypisom\0\0\x02\0isomiso2'],
  ['video/quicktime', '\0\0\0\x14ftypqt  \0\0\0\0qt  '],
  ['video/webm', '\x1a\x45\xdf\xa3\x01\0\0'],
  ['image/heic', '\0\0\0\x24ftypheic\0\0\0\0mif1heic'],
  ['image/jxl', '\xff\x0a\xfa'],
  ['image/bmp', `BM${'\0'.repeat(30)}`],
])('%s by its first bytes', (type, head) => {
  expect(sniffMediaType(Buffer.from(head, 'latin1'))).toBe(type);
  expect(endingOf(type)).toMatch(/^\.\w+$/);
});

test.each([
  '',
  'P',
  '<svg xmlns="http://www.w3.org/2000/svg">',
  '<!doctype html><script>',
  'RIFF....WAVE',
  'BM',
  '%PDF-1.7',
])('%j is not told apart', (head) => {
  expect(sniffMediaType(Buffer.from(head))).toBe(unknownMediaType);
});

test('only known pictures and videos are passive', () => {
  expect(isPassive('image/png')).toBe(true);
  for (const type of ['image/svg+xml', 'text/html', unknownMediaType, '']) expect(isPassive(type)).toBe(false);
});
