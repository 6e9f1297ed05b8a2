import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RgbImage, readImage } from '../base/image.ts';
import type { Raster } from '../base/raster.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { createResidency } from '../runtime/residency.ts';
import { readConfig } from '../weights/network-files.ts';
import { inventWeights } from '../weights/random-weights.ts';
import { openWeights } from '../weights/scope.ts';
import { depth, depthPicture } from './depth.ts';
import { type DptHybridConfig, type DptHybridShape, dptHybridConfig, dptHybridModel } from './dpt-hybrid.ts';
import { inverseDepth, midasFile, resizeBack, resizeForDepth } from './midas.ts';
import { normal, normalPicture } from './normal.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));
const folder = join(fixtures, 'annotators/midas');
const picture = (name: string): Promise<RgbImage> => readImage(join(folder, name));

const residency = createResidency({ device: 'cpu', idleLimit: 1 });
afterAll(() => residency.close());

describe('pictures of depth are those of the original', async () => {
  const maps = Object.entries(await readTensors(join(folder, 'maps.safetensors')));

  test.for(maps)('%s', async ([name, { dims, data }]) => {
    const [height, width] = dims as [number, number];
    const found = { width, height, channels: 1, data: data as Float32Array };
    expectAlike(depthPicture(found), await picture(`${name}-depth.png`), { share: 0 });
    expectAlike(await normalPicture(found), await picture(`${name}-normal.png`), { share: 0 });
  });
});

describe('from photograph to picture as the reference, with the same small network', () => {
  const small = join(fixtures, 'networks/dpt-hybrid');
  const network = (shape: DptHybridShape) => ({
    key: `small dpt-hybrid, ${shape.height} x ${shape.width}`,
    build: async () => {
      const weights = await openWeights([join(small, 'weights.safetensors')]);
      const config = dptHybridConfig(weights, await readConfig(join(small, 'config.json')));
      return dptHybridModel({ config, weights }, shape);
    },
  });

  test.each([
    ['crop', 'of 224 × 160 pixels, which the network takes as they are'],
    ['odd', 'of 100 × 75 pixels, seen at 704 × 512'],
  ])('%s, %s', async (name) => {
    const photograph = await picture(`${name}.png`);
    const found = await inverseDepth(photograph, residency, network);
    const depths = await resizeBack(depthPicture(found), photograph);
    const normals = await resizeBack(await normalPicture(found), photograph);
    // The network agrees to 1e-6, which now and then decides which whole number a value is cut off to: measured 8e-5.
    expectAlike(depths, await picture(`${name}-depth.png`), { share: 5e-4 });
    expectAlike(normals, await picture(`${name}-normal.png`), { share: 5e-4 });
  });
});

describe('any photograph', () => {
  const tiny: DptHybridConfig = {
    stages: { stemWidth: 32, stages: new Array(3).fill({ blocks: 1, innerWidth: 32, width: 32 }), groups: 32 },
    width: 64,
    heads: 1,
    epsilon: 1e-6,
    joined: true,
    mlpWidth: 64,
    layers: 2,
    grid: 4,
    readoutWidths: [16, 16],
    fusionWidth: 8,
    headWidths: [8, 8],
  };
  let home: string;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'darkroom-midas-'));
    // Without it, the ReLU at the end would leave nothing.
    const invented = inventWeights((name) =>
      name === 'scratch.output_conv.4.bias' ? { centre: 2, deviation: 0 } : undefined,
    );
    dptHybridModel({ config: tiny, weights: invented.weights }, { batch: 1, height: 32, width: 32 });
    await mkdir(dirname(join(home, midasFile)), { recursive: true });
    await invented.write(join(home, midasFile), 'midas');
  });
  afterAll(() => rm(home, { recursive: true }));

  test.each([
    [1, 1],
    [64, 32],
    [101, 67],
    [10_000, 50],
  ])('of %d × %d pixels gives pictures of its size', async (width, height) => {
    const photograph = gradient(width, height);
    const context = { folders: [home], residency };
    const depths = await depth.annotate(photograph, context);
    const normals = await normal.annotate(photograph, context);
    for (const made of [depths, normals]) {
      expect([made.width, made.height, made.channels]).toEqual([width, height, 3]);
      expect(made.data.length).toBe(3 * width * height);
    }
    if (width > 1) expect(Math.max(...depths.data.subarray(0, 3000)), 'something is near').toBeGreaterThan(0);
    expect(normals.data[2], 'the first pixel faces the camera').toBeGreaterThan(127);
  });

  test.each([
    ['as it is where the original can', [224, 160], [224, 160]],
    ['as it is up to a megapixel', [1024, 1024], [1024, 1024]],
    ['with its smaller side at 512 where it is larger', [1056, 1024], [512, 512]],
    ['with its smaller side at 512 where the original fails', [100, 75], [704, 512]],
    ['with its smaller side at 512 down to a quarter of the other one', [401, 101], [2048, 512]],
    ['with fewer pixels where it is a strip', [10_000, 50], [14_464, 64]],
    ['also where the strip is upright', [50, 10_000], [64, 14_464]],
    ['also where it is a line', [200_000, 1], [32_768, 32]],
  ])('is seen %s', async (_, [width, height], [seenWidth, seenHeight]) => {
    const seen = await resizeForDepth(gradient(width!, height!));
    expect([seen.width, seen.height]).toEqual([seenWidth, seenHeight]);
    expect(seen.data.length).toBe(3 * seen.width * seen.height);
  });
});

function gradient(width: number, height: number): RgbImage {
  const data = Uint8Array.from({ length: 3 * width * height }, (_, index) => (index * 7 + (index >> 9)) & 255);
  return { width, height, channels: 3, data };
}

/** All values within 1, and at most this share of them different. One channel stands for all three of a grey picture. */
function expectAlike(actual: Raster<Uint8Array>, expected: RgbImage, { share }: { share: number }): void {
  expect([actual.width, actual.height]).toEqual([expected.width, expected.height]);
  const values = expected.data.filter((_, index) => index % 3 < actual.channels);
  const differences = actual.data.map((value, index) => Math.abs(value - values[index]!));
  expect(differences.reduce((most, difference) => Math.max(most, difference), 0)).toBeLessThanOrEqual(1);
  expect(differences.filter((difference) => difference > 0).length / differences.length).toBeLessThanOrEqual(share);
}
