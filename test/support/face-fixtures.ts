import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type RgbImage, readImage } from '../../src/base/image.ts';

/** A file of the fixtures that `tools/reference/faces.py` writes. */
export function facePath(file: string): string {
  return fileURLToPath(new URL(`../fixtures/faces/${file}`, import.meta.url));
}

export function faceCases<Case>(file: string): Case[] {
  return JSON.parse(readFileSync(facePath(file), 'utf8'));
}

/** How a picture is made of a photograph, in this order. */
export interface Recipe {
  photo: string;
  /** What is cut out. */
  crop?: [left: number, top: number, width: number, height: number];
  /** Of the pixels each way, which are taken. */
  every?: number;
  /** How often each pixel is repeated each way. */
  repeat?: number;
  /** How often the whole is laid out. */
  tile?: [columns: number, rows: number];
}

export async function makePicture({ photo, crop, every = 1, repeat = 1, tile = [1, 1] }: Recipe): Promise<RgbImage> {
  const whole = await readImage(facePath(`../photos/${photo}`), 'photo');
  const [left, top, width, height] = crop ?? [0, 0, whole.width, whole.height];
  const [columns, rows] = [Math.ceil(width / every), Math.ceil(height / every)];
  const size = { width: columns * repeat * tile[0], height: rows * repeat * tile[1] };
  const data = new Uint8Array(3 * size.width * size.height);
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const column = left + (Math.floor(x / repeat) % columns) * every;
      const row = top + (Math.floor(y / repeat) % rows) * every;
      const from = (row * whole.width + column) * 3;
      data.set(whole.data.subarray(from, from + 3), (y * size.width + x) * 3);
    }
  }
  return { ...size, channels: 3, data };
}
