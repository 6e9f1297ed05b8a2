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
}

export async function makePicture({ photo, crop, every = 1, repeat = 1 }: Recipe): Promise<RgbImage> {
  const whole = await readImage(facePath(`../photos/${photo}`), 'photo');
  const [left, top, width, height] = crop ?? [0, 0, whole.width, whole.height];
  const sampled = (length: number): number => Math.ceil(length / every);
  const size = { width: sampled(width) * repeat, height: sampled(height) * repeat };
  const data = new Uint8Array(3 * size.width * size.height);
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const column = left + Math.floor(x / repeat) * every;
      const row = top + Math.floor(y / repeat) * every;
      const from = (row * whole.width + column) * 3;
      data.set(whole.data.subarray(from, from + 3), (y * size.width + x) * 3);
    }
  }
  return { ...size, channels: 3, data };
}
