import type { Browser } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findBrowser, openBrowser } from '../../test/support/browser.ts';
import { pictureAt, playFilm } from '../../test/support/play-film.ts';
import type { RgbImage } from './image.ts';
import { encodeVideo } from './video.ts';

/** A gradient that moves, with a bar whose place tells the number of the frame; width unlike height. */
function frame(index: number, width = 192, height = 128): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bar = x >= 8 * index && x < 8 * index + 8 && y < 32;
      const colour = bar
        ? [255, 255, 255]
        : [(255 * x) / width, (255 * y) / height, 128 + 100 * Math.sin((x + y) / 31 + index / 3)];
      data.set(colour, 3 * (y * width + x));
    }
  }
  return { width, height, channels: 3, data };
}

const frames = Array.from({ length: 16 }, (_, index) => frame(index));

/** Type, start and end of each box. */
function boxes(file: Buffer, start = 0, end = file.length): { type: string; start: number; end: number }[] {
  const found: { type: string; start: number; end: number }[] = [];
  for (let at = start; at < end; at += file.readUInt32BE(at)) {
    found.push({ type: file.toString('latin1', at + 4, at + 8), start: at + 8, end: at + file.readUInt32BE(at) });
  }
  return found;
}

/** The content of the box at the end of a path of types. */
function content(file: Buffer, ...path: string[]): Buffer {
  let [start, end] = [0, file.length];
  for (const type of path) {
    // Tables of entries begin with a count.
    ({ start, end } = boxes(file, type === 'avc1' ? start + 8 : start, end).find((box) => box.type === type)!);
  }
  return file.subarray(start, end);
}

const numbers = (bytes: Buffer): number[] =>
  Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32BE(4 * index));

describe('the file', () => {
  const table = ['moov', 'trak', 'mdia', 'minf', 'stbl'];
  let file: Buffer;
  beforeAll(async () => {
    file = Buffer.from(await encodeVideo(frames, 130));
  });

  test('has its index in front of the pictures, and one track without sound', () => {
    expect(boxes(file).map(({ type }) => type)).toEqual(['ftyp', 'moov', 'mdat']);
    expect(boxes(content(file, 'moov')).map(({ type }) => type)).toEqual(['mvhd', 'trak']);
    expect(content(file, 'moov', 'trak', 'mdia', 'hdlr').toString('latin1', 8, 12)).toBe('vide');
  });

  test('shows each of sixteen pictures for 0.13 s', () => {
    expect(numbers(content(file, ...table, 'stts'))).toEqual([0, 1, 16, 130]);
    for (const header of [
      ['moov', 'mvhd'],
      ['moov', 'trak', 'mdia', 'mdhd'],
    ]) {
      const [, created, modified, timescale, duration] = numbers(content(file, ...header).subarray(0, 20));
      expect([created, modified, timescale, duration]).toEqual([0, 0, 1000, 2080]);
    }
  });

  test('holds H.264 of its size, and says what its colours are', () => {
    const entry = content(file, ...table, 'stsd', 'avc1');
    expect([entry.readUInt16BE(24), entry.readUInt16BE(26)]).toEqual([192, 128]);
    const [decoder, colours] = boxes(entry, 78);
    expect([decoder!.type, entry[decoder!.start]]).toEqual(['avcC', 1]);
    expect(entry.toString('hex', colours!.start, colours!.end)).toBe(
      `${Buffer.from('nclx').toString('hex')}0001000d000600`,
    );
  });

  test('finds every picture where the index says, the first as the one key picture', () => {
    const [, , count, ...sizes] = numbers(content(file, ...table, 'stsz'));
    expect([count, sizes.length]).toEqual([16, 16]);
    const { start, end } = boxes(file).at(-1)!;
    expect(numbers(content(file, ...table, 'stco'))).toEqual([0, 1, start]);
    expect(numbers(content(file, ...table, 'stsc'))).toEqual([0, 1, 1, 16, 1]);
    expect(sizes.reduce((sum, size) => sum + size, start)).toBe(end);
    expect(numbers(content(file, ...table, 'stss'))).toEqual([0, 1, 1]);
    // Each begins with the length of a NAL unit; types 5 and 1 are slices of key and of other pictures.
    let at = start;
    const types = sizes.map((size) => {
      const type = file[at + 4]! & 0x1f;
      at += size;
      return type;
    });
    expect(types).toEqual([5, ...new Array<number>(15).fill(1)]);
  });

  test('is the same each time, also when two are made at once', async () => {
    const made = await Promise.all([encodeVideo(frames, 130), encodeVideo(frames, 130)]);
    for (const again of made) expect(file.equals(again)).toBe(true);
  });
});

describe('what cannot be encoded', () => {
  test.each([
    [[], /at least one frame/],
    [[frame(0, 33, 32)], /33 × 32 cannot be made/],
    [[frame(0, 32, 0)], /32 × 0 cannot be made/],
    [[frame(0, 4096, 2)], /4096 × 2 cannot be made/],
    [[frame(0, 64, 32), frame(1, 32, 64)], /32 × 64 follows one of 64 × 32/],
  ])('is refused, and the next film is made', async (unfit, message) => {
    await expect(encodeVideo(unfit, 130)).rejects.toThrow(message);
    expect((await encodeVideo([frame(0, 34, 50)], 40)).length).toBeGreaterThan(700);
  });

  test('leaves nothing behind when the frames end in an error', async () => {
    async function* broken(): AsyncGenerator<RgbImage> {
      yield frame(0);
      throw new Error('canceled');
    }
    const memory = (): number => process.memoryUsage.rss() / 2 ** 20;
    for (let round = 0; round < 5; round++) await expect(encodeVideo(broken(), 130)).rejects.toThrow('canceled');
    const before = memory();
    for (let round = 0; round < 40; round++) {
      await expect(encodeVideo(broken(), 130)).rejects.toThrow('canceled');
      await encodeVideo([frame(round)], 130);
    }
    // One encoder of this size has 2 MB.
    expect(memory() - before).toBeLessThan(40);
  });

  test('the library does not listen for errors of the process', () => {
    const strangers = ['uncaughtException', 'unhandledRejection'].flatMap((event) =>
      process.listeners(event as NodeJS.Signals).filter((listener) => /abort|throw/.test(String(listener))),
    );
    expect(strangers).toEqual([]);
  });
});

const browserPath = findBrowser();

describe.skipIf(!browserPath)('in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser(browserPath!);
  });
  afterAll(() => browser?.close());

  test('it plays to its end, and shows what went in', async () => {
    const file = Buffer.from(await encodeVideo(frames, 130));
    const page = await browser.newPage();
    const played = await playFilm(page, `data:video/mp4;base64,${file.toString('base64')}`);
    expect(played).toMatchObject({ width: 192, height: 128, duration: 2.08, endedAt: 2.08, played: [[0, 2.08]] });

    for (const index of [0, 1, 7, 15]) {
      const pixels = await sharp(await pictureAt(page, 0.13 * (index + 0.5)))
        .removeAlpha()
        .raw()
        .toBuffer();
      // Measured: 1.5 of 255, most of it where chroma of half the size meets the edges of the bar; 11 to the next frame.
      expect(meanDifference(pixels, frames[index]!)).toBeLessThan(2.5);
      expect(meanDifference(pixels, frames[(index + 1) % 16]!)).toBeGreaterThan(8);
    }
  });
});

function meanDifference(pixels: Uint8Array, { data }: RgbImage): number {
  return pixels.reduce((sum, value, index) => sum + Math.abs(value - data[index]!), 0) / data.length;
}
