/** Latents are scaled by what the autoencoder's configuration says, in both directions. */
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RgbImage } from '../base/image.ts';
import { cpuNormals } from '../math/random.ts';
import { float32 } from '../math/tensor.ts';
import { vaeScalingFactor } from '../networks/vae-config.ts';
import { createResidency } from '../runtime/residency.ts';
import { decodePictures } from './decode.ts';
import { encodePicture } from './encode.ts';

const sdxl = '../../test/fixtures/pipelines/sdxl-weights/stabilityai/stable-diffusion-xl-base-1.0/vae/';
const published = (file: string): string => fileURLToPath(new URL(`${sdxl}${file}`, import.meta.url));
const residency = createResidency({ device: 'cpu' });
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vae-scaling-'));
});
afterAll(async () => {
  await residency.close();
  await rm(folder, { recursive: true });
});

/** A base with the same autoencoder, whose configuration says something else. */
async function baseWith(name: string, changes: Record<string, unknown>): Promise<string> {
  const base = join(folder, name);
  await mkdir(join(base, 'vae'), { recursive: true });
  const weights = 'diffusion_pytorch_model.safetensors';
  await symlink(published(weights), join(base, 'vae', weights));
  const config = JSON.parse(await readFile(published('config.json'), 'utf8')) as Record<string, unknown>;
  await writeFile(join(base, 'vae', 'config.json'), JSON.stringify({ ...config, ...changes }));
  return base;
}

const latents = float32([1, 4, 8, 8], cpuNormals(5).normal(4 * 64));

async function decoded(base: string, factor: number): Promise<RgbImage> {
  const scaled = float32(
    latents.dims,
    latents.data.map((value) => value * factor),
  );
  for await (const picture of decodePictures(residency, base, scaled)) return picture;
  throw new Error('There is no picture.');
}

test.each([0.13025, 0.521, undefined])('a factor of %s', async (factor) => {
  const [one, other] = [
    await baseWith(`plain ${factor}`, { scaling_factor: 0.25 }),
    await baseWith(`${factor}`, { scaling_factor: factor }),
  ];
  // What the reference has where the key is absent.
  const ratio = (factor ?? 0.18215) / 0.25;
  const picture = await decoded(one, 0.25);
  const gaps = (await decoded(other, factor ?? 0.18215)).data.map((value, place) =>
    Math.abs(value - picture.data[place]!),
  );
  // A factor that is not a power of two rounds, so that a value beside the middle between two bytes may fall to the other.
  expect(Math.max(...gaps)).toBeLessThanOrEqual(1);
  const expected = (await encodePicture(residency, one, picture)).data.map((value) => value * ratio);
  const actual = (await encodePicture(residency, other, picture)).data;
  for (const [place, value] of expected.entries()) expect(actual[place]! / value).toBeCloseTo(1, 5);
});

test.each([
  { scaling_factor: 0 },
  { scaling_factor: -0.13025 },
  { scaling_factor: '0.13025' },
  { scaling_factor: [0.13025] },
  { shift_factor: 0.0609 },
  { latents_mean: [0, 0, 0, 0] },
])('%j is refused with its name', async (changes) => {
  const [key] = Object.keys(changes);
  const base = await baseWith(JSON.stringify(changes), changes);
  const message = new RegExp(`config\\.json sets "${key}" to `);
  await expect(decoded(base, 1)).rejects.toThrow(message);
  await expect(
    encodePicture(residency, base, { width: 8, height: 8, channels: 3, data: new Uint8Array(192) }),
  ).rejects.toThrow(message);
});

test('an infinite one is refused too', () => {
  expect(() => vaeScalingFactor(JSON.parse('{"scaling_factor": 1e999}'))).toThrow(/"scaling_factor"/);
});
