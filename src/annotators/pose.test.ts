import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectSamePixels } from '../../test/support/expect-same-pixels.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import { createResidency } from '../runtime/residency.ts';
import { pose } from './pose.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));
const folder = join(fixtures, 'annotators/pose');
const pictureCases: { input: string; output: string }[] = JSON.parse(
  await readFile(join(folder, 'pictures.json'), 'utf8'),
);

const residency = createResidency({ device: 'cpu' });
let weights: string;
beforeAll(async () => {
  weights = await mkdtemp(join(tmpdir(), 'darkroom-pose-'));
  // Weight files are told apart by what is in them.
  await cp(join(fixtures, 'networks/openpose/weights.safetensors'), join(weights, 'body_pose_model.pth'));
});
afterAll(async () => {
  await residency.close();
  await rm(weights, { recursive: true });
});

const bodiesOf = (photograph: RgbImage): Promise<RgbImage> =>
  pose.annotate(photograph, { folders: [weights], residency });

describe('the same picture of bodies as by the original', () => {
  test.each(pictureCases)('$input', async ({ input, output }) => {
    expectSamePixels(await bodiesOf(await readImage(join(folder, input))), await readImage(join(folder, output)));
  });
});

test('a blank picture, and one that is a strip, have a picture of bodies of the size of detection', async () => {
  const blank = (width: number, height: number): RgbImage => {
    return { width, height, channels: 3, data: new Uint8Array(width * height * 3).fill(255) };
  };
  expect(await bodiesOf(blank(300, 200))).toMatchObject({ width: 768, height: 512 });
  expect(await bodiesOf(blank(400, 50))).toMatchObject({ width: 4096, height: 512 });
  await expect(bodiesOf(blank(10_000, 50))).rejects.toThrow(/image is 10000×50.* Crop it/);
});
