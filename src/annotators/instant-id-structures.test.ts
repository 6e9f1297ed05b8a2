import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectSamePixels } from '../../test/support/expect-same-pixels.ts';
import { recordedHeader, weightsOfHeader } from '../../test/support/recorded-header.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import { bilinear, resize } from '../base/resize.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { createResidency, type Residency } from '../runtime/residency.ts';
import { dptHybridModel } from './dpt-hybrid.ts';
import { midasName, transformersName } from './dpt-hybrid-names.ts';
import { dptHybridOfTransformers, transformersDptHybrid } from './dpt-hybrid-transformers.ts';
import { cannyStructure, depthStructure, networkInput, poseStructure } from './instant-id-structures.ts';
import { findBodies } from './pose-bodies.ts';
import { drawOneByOne } from './pose-drawing.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));
const folder = join(fixtures, 'annotators/instant-id');
const network = join(fixtures, 'annotators/dpt-hybrid-transformers');
const picture = (name: string): Promise<RgbImage> => readImage(join(folder, name));
const photo = (): Promise<RgbImage> => readImage(join(fixtures, 'photos/eileen-collins.jpg'));
const crop = (): Promise<RgbImage> => readImage(join(fixtures, 'annotators/pose/crop.png'));

const residency = createResidency({ device: 'cpu' });
let weights: string;
beforeAll(async () => {
  weights = await mkdtemp(join(tmpdir(), 'darkroom-structures-'));
  // Weight files are told apart by what is in them.
  await cp(join(fixtures, 'networks/openpose/weights.safetensors'), join(weights, 'body_pose_model.pth'));
  await cp(join(network, 'weights.safetensors'), join(weights, 'pytorch_model.bin'));
  await cp(join(network, 'config.json'), join(weights, 'config.json'));
});
afterAll(async () => {
  await residency.close();
  await rm(weights, { recursive: true });
});

describe('poses', () => {
  test.each([
    ['photo', photo],
    ['crop', crop],
  ])('%s', async (name, read) => {
    const drawn = await poseStructure.annotate(await read(), { folders: [weights], residency });
    expectSamePixels(drawn, await picture(`${name}-pose.png`));
  });

  test.each([
    ['crowd', 1472],
    ['nobody', 576],
    ['chaos', 576],
  ])('in the maps "%s"', async (name, width) => {
    const maps = (await readTensors(join(fixtures, `annotators/pose/${name}.safetensors`))) as Record<string, Tensor>;
    const [paf, heatmap] = [single(maps.paf!), single(maps.heatmap!)];
    const scaled = { width: Math.trunc(width * (184 / 512)), height: 184 };
    const bodies = await findBodies({ paf, heatmap, scaled }, { width, height: 512 }, 'lanczos4');
    expectSamePixels(await drawOneByOne(bodies, width, 512), await picture(`${name}-pose.png`));
  });

  test.each([
    [1280, 64, '3680×184'],
    [64, 1280, '16×184'],
  ])('the thinnest photograph that instant-id looks at, of %i×%i, is not too thin', async (width, height, seen) => {
    const strip: RgbImage = { width, height, channels: 3, data: new Uint8Array(width * height * 3) };
    // What follows takes seconds, and is what it is for others.
    const use: Residency['use'] = async ({ key }) => Promise.reject(new Error(key));
    const drawn = poseStructure.annotate(strip, { folders: [weights], residency: { ...residency, use } });
    await expect(drawn).rejects.toThrow(`openpose, ${seen}, `);
  });
});

/** As float32. */
function single({ dims, data }: Tensor): Tensor<'float32'> {
  return { type: 'float32', dims, data: Float32Array.from(data as Float32Array) };
}

test('edges', async () => {
  const edges = await cannyStructure.annotate(await photo(), { folders: [], residency });
  expectSamePixels(edges, await picture('photo-canny.png'));
});

describe('depth', () => {
  test('the network under its other names is that of transformers', async () => {
    const image = resize(await readImage(join(fixtures, 'annotators/midas/odd.png')), 384, 384, bilinear);
    const built = dptHybridOfTransformers(weights, 'pytorch_model.bin', { batch: 1, height: 384, width: 384 });
    const { predicted_depth } = await residency.use(built, (session) =>
      session.run({ pixel_values: networkInput(image) }),
    );
    const expected = (await readTensors(join(network, 'expected.safetensors'))).predicted_depth as Tensor<'float32'>;
    const side = expected.dims[1]!;
    let [error, size] = [0, 0];
    for (const [index, value] of expected.data.entries()) {
      const place = 3 * Math.floor(index / side) * 384 + 3 * (index % side);
      error += ((predicted_depth as Tensor<'float32'>).data[place]! - value) ** 2;
      size += value ** 2;
    }
    expect(side).toBe(128);
    // Measured: 1.7e-6; the reference is 9e-7 from itself in float64.
    expect(Math.sqrt(error / size)).toBeLessThan(5e-6);
  });

  test('the whole picture, of a photograph that is no square', async () => {
    const drawn = await depthStructure.annotate(await crop(), { folders: [weights], residency });
    const expected = await picture('crop-depth.png');
    expect([drawn.width, drawn.height]).toEqual([1024, 1024]);
    const differences = drawn.data.map((value, index) => Math.abs(value - expected.data[index]!));
    // The network agrees to 1e-6, which now and then decides which whole number a value is cut off to: measured 6.3e-5.
    expect(differences.reduce((most, value) => Math.max(most, value))).toBeLessThanOrEqual(1);
    expect(differences.filter((value) => value > 0).length / differences.length).toBeLessThan(3e-4);
  });

  test('nothing divides by zero where everything is equally near', async () => {
    const grey = { width: 40, height: 30, channels: 3, data: new Uint8Array(40 * 30 * 3).fill(99) } as const;
    const flat = {
      ...residency,
      use: async () => ({ predicted_depth: float32([1, 384, 384]) }),
    } as unknown as Residency;
    const drawn = await depthStructure.annotate(grey, { folders: [weights], residency: flat });
    expect(drawn.data.every((value) => value === 0)).toBe(true);
  });

  test('every tensor of the published file is used once', () => {
    const header = recordedHeader('dpt-hybrid-transformers');
    const renamed = Object.fromEntries(Object.entries(header).map(([name, entry]) => [midasName(name), entry]));
    const net = transformersDptHybrid(weightsOfHeader(renamed, 'pytorch_model.bin'), published);
    expect(net.config).toMatchObject({ heads: 12, layers: 12, width: 768, epsilon: 1e-12, joined: false, grid: 24 });
    const model = dptHybridModel(net, { batch: 1, height: 384, width: 384 });
    expect(model.outputs).toEqual([{ name: 'predicted_depth', type: 'float32', dims: [1, 384, 384] }]);
    for (const name of Object.keys(header)) expect(transformersName(midasName(name))).toBe(name);
  });

  test.each([
    [{ is_hybrid: false }, 'is_hybrid'],
    [{ backbone_out_indices: [2, 5, 8, 10] }, 'backbone_out_indices'],
    [{ readout_type: 'add' }, 'readout_type'],
  ])('a configuration with %j is refused', (change, key) => {
    const header = recordedHeader('dpt-hybrid-transformers');
    const renamed = Object.fromEntries(Object.entries(header).map(([name, entry]) => [midasName(name), entry]));
    const opened = weightsOfHeader(renamed, 'pytorch_model.bin');
    expect(() => transformersDptHybrid(opened, { ...published, ...change })).toThrow(`"${key}"`);
  });
});

/** What of the published config.json decides something. */
const published = {
  is_hybrid: true,
  num_attention_heads: 12,
  layer_norm_eps: 1e-12,
  backbone_out_indices: [2, 5, 8, 11],
  readout_type: 'project',
};
