/** The small networks of Stable Diffusion XL go together, and what they make can be seen. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cpuNormals } from '../math/random.ts';
import { float32, sizeOf, type Tensor } from '../math/tensor.ts';
import { clipTextNetwork } from '../networks/clip-text.ts';
import { unetNetwork } from '../networks/unet.ts';
import { vaeDecoderNetwork } from '../networks/vae-decoder.ts';
import { vaeEncoderNetwork } from '../networks/vae-encoder.ts';
import { createResidency, type Network } from '../runtime/residency.ts';
import { miniFolder } from './mini.ts';
import { miniXlContext, miniXlControlnet } from './mini-stable-diffusion-xl.ts';

const residency = createResidency({ device: 'cpu' });
let home: string;
let base: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'mini-xl-'));
  base = (await miniFolder(['stabilityai/stable-diffusion-xl-base-1.0'], home))!;
});
afterAll(async () => {
  await residency.close();
  await rm(home, { recursive: true });
});

const normals = cpuNormals(7);
const noise = (...dims: number[]): Tensor<'float32'> => float32(dims, normals.normal(sizeOf(dims)));
const one = float32([1], Float32Array.of(1));

async function run(network: Network, feeds: Record<string, Tensor>, output: string): Promise<Tensor<'float32'>> {
  const results = await residency.use(network, (session) => session.run(feeds));
  return results[output] as Tensor<'float32'>;
}

function deviation(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

const [height, width] = [16, 24];
const unetFeeds = () => ({
  sample: noise(1, 4, height, width),
  timestep: float32([1], Float32Array.of(500)),
  encoder_hidden_states: noise(1, 77, miniXlContext.width),
  text_embeds: noise(1, miniXlContext.pooled),
  time_ids: float32([1, 6], Float32Array.of(128, 192, 0, 0, 128, 192)),
});

test('text encoders of the widths that the UNet takes', async () => {
  const ids = { type: 'int32', dims: [1, 77], data: new Int32Array(77).fill(49407) } as const;
  const states = async (name: string) =>
    await run(
      clipTextNetwork(join(base, name), { batch: 1, length: 77 }, ['hidden_states.-2']),
      { input_ids: ids },
      'hidden_states.-2',
    );
  expect((await states('text_encoder')).dims).toEqual([1, 77, miniXlContext.first]);
  expect((await states('text_encoder_2')).dims).toEqual([1, 77, miniXlContext.second]);
});

test('ControlNets of both kinds steer the UNet', async () => {
  const feeds = unetFeeds();
  const shape = { batch: 1, height, width, textLength: 77 };
  const alone = await run(unetNetwork(join(base, 'unet'), shape), feeds, 'sample');
  expect(deviation(alone.data)).toBeGreaterThan(0.2);
  for (const kind of ['full', 'small'] as const) {
    const folder = join(home, kind);
    for (const { path, write } of miniXlControlnet(kind)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await write(join(folder, path), kind);
    }
    const controlled = unetNetwork(join(base, 'unet'), shape, { controlnets: [{ folder, conditionBatch: 1 }] });
    const control = { 'controlnet_cond.0': noise(1, 3, 8 * height, 8 * width), 'conditioning_scale.0': one };
    const steered = await run(controlled, { ...feeds, ...control }, 'sample');
    expect(deviation(steered.data.map((value, index) => value - alone.data[index]!)), kind).toBeGreaterThan(0.02);
  }
});

test('a picture with texture, and latents of a picture', async () => {
  const shape = { batch: 1, height, width };
  const picture = await run(
    vaeDecoderNetwork(join(base, 'vae'), shape),
    { latents: noise(1, 4, height, width) },
    'sample',
  );
  expect(picture.dims).toEqual([1, 3, 8 * height, 8 * width]);
  const spread = deviation(picture.data);
  expect(spread).toBeGreaterThan(0.2);
  expect(spread).toBeLessThan(1);
  const encoder = vaeEncoderNetwork(join(base, 'vae'), { batch: 1, height: 8 * height, width: 8 * width });
  const moments = await run(encoder, { sample: picture }, 'moments');
  expect(moments.dims).toEqual([1, 8, height, width]);
  expect(deviation(moments.data)).toBeGreaterThan(0.1);
});

test('another base has other weights', async () => {
  const other = (await miniFolder(['stablediffusionapi/dreamshaper-xl'], home))!;
  expect(other).not.toBe(base);
  const feeds = unetFeeds();
  const [ours, theirs] = await Promise.all(
    [base, other].map((folder) =>
      run(unetNetwork(join(folder, 'unet'), { batch: 1, height, width, textLength: 77 }), feeds, 'sample'),
    ),
  );
  expect(deviation(ours!.data.map((value, index) => value - theirs!.data[index]!))).toBeGreaterThan(0.1);
});
