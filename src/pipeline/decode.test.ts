/** Whole or in tiles, on the small autoencoder of test/fixtures/pipelines/sdxl-weights/. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { RgbImage } from '../base/image.ts';
import { cpuNormals } from '../math/random.ts';
import { float32 } from '../math/tensor.ts';
import { createResidency } from '../runtime/residency.ts';
import { decodePictures } from './decode.ts';

const sdxl = '../../test/fixtures/pipelines/sdxl-weights/stabilityai/stable-diffusion-xl-base-1.0';
const base = fileURLToPath(new URL(sdxl, import.meta.url));
const [height, width] = [68, 72];
const latents = float32([1, 4, height, width], cpuNormals(3).normal(4 * height * width));

/** The pictures, and the sizes of the networks that were loaded for them. */
async function decode(budget?: number) {
  const sizes: string[] = [];
  const residency = createResidency({
    device: 'cpu',
    ...(budget !== undefined && { budget }),
    onEvent: ({ type, key }) => type === 'loaded' && sizes.push(/\d+×\d+/.exec(key)![0]),
  });
  const pictures: RgbImage[] = [];
  for await (const picture of decodePictures(residency, base, latents)) pictures.push(picture);
  await residency.close();
  return { pictures, sizes };
}

test('pictures are decoded as a whole; in tiles where the whole does not fit into memory', async () => {
  const whole = await decode();
  expect(whole.sizes).toEqual([`${width}×${height}`]);
  // Between what the whole needs and what a tile needs.
  const tiled = await decode(14_500_000);
  expect(new Set(tiled.sizes)).toEqual(new Set(['64×64', '24×64', '64×20', '24×20']));
  for (const [index, picture] of whole.pictures.entries()) {
    const other = tiled.pictures[index]!;
    expect([other.width, other.height]).toEqual([8 * width, 8 * height]);
    const gaps = picture.data.map((value, place) => Math.abs(value - other.data[place]!));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    // The same picture, in which each tile has a mean of its own.
    expect(mean).toBeGreaterThan(0.1);
    expect(mean).toBeLessThan(25);
  }
});
