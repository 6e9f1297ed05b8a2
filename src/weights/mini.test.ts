import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { float32, sizeOf, type Tensor } from '../math/tensor.ts';
import { clipTextNetwork } from '../networks/clip-text.ts';
import { unetNetwork } from '../networks/unet.ts';
import { vaeDecoderNetwork } from '../networks/vae-decoder.ts';
import { createResidency, type Network } from '../runtime/residency.ts';
import { miniFolder } from './mini.ts';
import { inventWeights } from './random-weights.ts';
import { readTensor } from './read-tensor.ts';
import { readSafetensors } from './safetensors.ts';

const residency = createResidency({ device: 'cpu' });
let home: string;
let base: string;
let canny: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'mini-'));
  base = (await miniFolder(['runwayml/stable-diffusion-v1-5'], home))!;
  canny = (await miniFolder(['lllyasviel/sd-controlnet-canny'], home))!;
});
afterAll(async () => {
  await residency.close();
  await rm(home, { recursive: true });
});

const run = async (network: Network, feeds: Record<string, Tensor>, output: string): Promise<Float32Array> =>
  (await residency.use(network, (session) => session.run(feeds)))[output]!.data as Float32Array;

function waves(dims: readonly number[], phase: number): Tensor {
  return float32(
    dims,
    Float32Array.from({ length: sizeOf(dims) }, (_, index) => Math.sin(index * 1.3 + phase)),
  );
}

function spread(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

const distance = (a: Float32Array, b: Float32Array): number => spread(a.map((value, index) => value - b[index]!));

test('every input of the denoiser has an effect, and nothing overflows', async () => {
  const [height, width] = [8, 16];
  const network = unetNetwork(
    join(base, 'unet'),
    { batch: 1, height, width, textLength: 77 },
    {
      controlnets: [{ folder: canny, conditionBatch: 1 }],
    },
  );
  const feeds = {
    sample: waves([1, 4, height, width], 0),
    timestep: float32([1], new Float32Array([501])),
    encoder_hidden_states: waves([1, 77, 64], 1),
    'controlnet_cond.0': waves([1, 3, 8 * height, 8 * width], 2),
    'conditioning_scale.0': float32([1], new Float32Array([1])),
  };
  const noise = await run(network, feeds, 'sample');
  expect(spread(noise)).toBeGreaterThan(0.2);
  expect(spread(noise)).toBeLessThan(5);
  const changes = { ...feeds, timestep: float32([1], new Float32Array([1])) };
  for (const name of Object.keys(feeds) as (keyof typeof feeds)[]) {
    const other = name === 'timestep' ? changes.timestep : waves(feeds[name].dims, 5);
    expect(distance(noise, await run(network, { ...feeds, [name]: other }, 'sample')), name).toBeGreaterThan(0.002);
  }
});

test('prompts are told apart', async () => {
  const ids = (first: number): Tensor => ({
    type: 'int32',
    dims: [1, 77],
    data: Int32Array.from({ length: 77 }, (_, index) => (index === 0 ? 49406 : index < 9 ? first + index : 49407)),
  });
  const network = clipTextNetwork(join(base, 'text_encoder'), { batch: 1, length: 77 }, ['last_hidden_state']);
  const [cat, dog] = [
    await run(network, { input_ids: ids(2368) }, 'last_hidden_state'),
    await run(network, { input_ids: ids(1929) }, 'last_hidden_state'),
  ];
  expect(distance(cat, dog)).toBeGreaterThan(0.05);
});

test('a decoded picture has texture and fills the range of colours', async () => {
  const network = vaeDecoderNetwork(join(base, 'vae'), { batch: 1, height: 8, width: 16 });
  const picture = await run(network, { latents: waves([1, 4, 8, 16], 0) }, 'sample');
  expect(picture).toHaveLength(3 * 64 * 128);
  expect(spread(picture)).toBeGreaterThan(0.2);
  expect(spread(picture)).toBeLessThan(1.5);
});

test('made-up weights are the same every time, differ from tensor to tensor and keep the size of activations', async () => {
  const write = async (name: string, seed: string): Promise<string> => {
    const { weights, write } = inventWeights();
    weights.at('a').tensor('weight', [64, 100]);
    weights.at('b').tensor('weight', [64, 100]);
    weights.at('norm').tensor('weight', [500]);
    weights.at('norm').tensor('bias', [500]);
    await write(join(home, name), seed);
    return join(home, name);
  };
  const first = await write('first', 'one');
  const bytes = await readFile(first);
  expect(bytes.equals(await readFile(await write('second', 'one')))).toBe(true);
  expect(bytes.equals(await readFile(await write('third', 'two')))).toBe(false);
  const { tensors } = await readSafetensors(first);
  const read = async (name: string) => (await readTensor(tensors.get(name)!)).data as Float32Array;
  expect(spread(await read('a.weight'))).toBeCloseTo(0.1, 2);
  expect(distance(await read('a.weight'), await read('b.weight'))).toBeCloseTo(0.1 * Math.SQRT2, 2);
  expect(spread((await read('norm.weight')).map((value) => value - 1))).toBeCloseTo(0.1, 2);
});
