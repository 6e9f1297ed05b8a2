/** What the parity cases of LoRA do not tell: scale 0, and files that do not fit. Their sums are in `networks.test.ts`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compare, expectClose } from '../../test/support/expect-close.ts';
import { float8sToFloats } from '../math/float8.ts';
import { sizeOf } from '../math/tensor.ts';
import { openNetworkCase } from '../parity/case.ts';
import { runNetworkCase } from '../parity/network-case.ts';
import { type TensorToWrite, writeSafetensors } from '../weights/write-safetensors.ts';

const cases = fileURLToPath(new URL('../../test/fixtures/networks/', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-lora-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function sample(name: string, loras?: unknown): Promise<Float32Array> {
  const found = await openNetworkCase(join(cases, name));
  const changed = loras ? { ...found, options: { ...found.options, loras } } : found;
  const { actual } = await runNetworkCase(join(cases, name), changed, { device: 'cpu' });
  return actual.sample!.data as Float32Array;
}

test('a LoRA of scale 0 is none, bit for bit', async () => {
  const none = await sample('lora-two', []);
  const off = await sample('lora-two', [
    { file: 'lora-0.safetensors', scale: 0 },
    { file: 'lora-1.safetensors', scale: 0 },
  ]);
  expect(off).toEqual(none);
  expect(await sample('lora-two', [{ file: 'lora-0.safetensors', scale: 0.1 }])).not.toEqual(none);
});

test('one of another kind of scale 0 is none either, but for a DoRA, whose lengths stay', async () => {
  const none = await sample('lora-loha', []);
  const off = (kind: string) => sample(`lora-${kind}`, [{ file: 'lora-0.safetensors', scale: 0 }]);
  expectClose(await off('loha'), none, { relL2: 1e-6 });
  expect(compare(await off('dora'), none).relL2).toBeGreaterThan(0.05);
});

test('a LoRA of a norm is the difference that it makes', async () => {
  const norm = 'lora_unet_mid_block_attentions_0_norm';
  const other = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_norm1';
  const [up, alpha] = [Float32Array.from({ length: 48 }, (_, index) => Math.sin(index)), 3];
  const difference = Float32Array.from(
    { length: 24 },
    (_, row) => (alpha / 2) * (up[2 * row]! - 0.5 * up[2 * row + 1]!),
  );
  const parts = (name: string) => ({
    [`${name}.lora_up.weight`]: { shape: [24, 2], values: up },
    [`${name}.lora_down.weight`]: { shape: [2, 1], values: [1, -0.5] },
    [`${name}.alpha`]: { shape: [], values: [alpha] },
  });
  const whole = (name: string) => ({ [`${name}.diff`]: { shape: [24], values: difference } });
  const product = await withValues('norm-product', { ...parts(norm), ...parts(other) });
  expectClose(product, await withValues('norm-difference', { ...whole(norm), ...whole(other) }), { relL2: 1e-6 });
  expect(compare(product, await sample('unet')).relL2).toBeGreaterThan(0.01);
});

const layer = 'lora_unet_mid_block_attentions_0_proj_in';

test.each(['F8_E4M3', 'F8_E5M2'] as const)(
  'a LoRA of %s is that of the same numbers in float32, bit for bit',
  async (dtype) => {
    const shapes = { [`${layer}.lora_down.weight`]: [2, 24, 1, 1], [`${layer}.lora_up.weight`]: [24, 2, 1, 1] };
    // Below 0x48, which is 4 or 8, and of both signs; alpha is 2 in both types.
    const bits = (count: number) =>
      Uint8Array.from({ length: count }, (_, index) => ((37 * index) % 0x48) | ((index % 3) << 7));
    const bytes = Object.entries(shapes).map(([name, shape]) => [name, { shape, bytes: bits(sizeOf(shape)) }] as const);
    const all = [...bytes, [`${layer}.alpha`, { shape: [], bytes: Uint8Array.of(0x40) }] as const];
    const file = join(folder, `${dtype}.safetensors`);
    await writeSafetensors(file, new Map(all.map(([name, tensor]) => [name, { dtype, ...tensor }])));
    const narrow = await sample('unet', [{ file: relative(join(cases, 'unet'), file), scale: 1 }]);
    const wide = all.map(([name, tensor]) => [
      name,
      { shape: tensor.shape, values: float8sToFloats(tensor.bytes, dtype) },
    ]);
    expect(narrow).toEqual(await withValues(`${dtype}-wide`, Object.fromEntries(wide)));
    expect(narrow).not.toEqual(await sample('unet'));
  },
);

test("PhotoMaker's file is taken as its LoRA, without the identity encoder", async () => {
  const path = 'lora_weights.unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora';
  const shapes = { [`${path}.down.weight`]: [2, 24], [`${path}.up.weight`]: [24, 2], 'id_encoder.anything': [3] };
  expect(await withLora('photomaker', shapes)).toEqual(await sample('unet'));
});

const withLora = async (name: string, shapes: Record<string, number[]>): Promise<Float32Array> => {
  const zeros = Object.entries(shapes).map(([key, shape]) => [
    key,
    { shape, values: new Array(sizeOf(shape)).fill(0) },
  ]);
  return await withValues(name, Object.fromEntries(zeros));
};

type Values = Record<string, { shape: number[]; values: ArrayLike<number> }>;

const withValues = async (name: string, content: Values): Promise<Float32Array> => {
  const file = join(folder, `${name}.safetensors`);
  const tensors = Object.entries(content).map(([key, { shape, values }]): [string, TensorToWrite] => {
    return [key, { dtype: 'F32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) }];
  });
  await writeSafetensors(file, new Map(tensors));
  return await sample('unet', [{ file: relative(join(cases, 'unet'), file), scale: 1 }]);
};

describe('a file that does not fit is refused', () => {
  test('with a layer that the network lacks', async () => {
    const shapes = { 'lora_unet_nowhere.lora_down.weight': [2, 24], 'lora_unet_nowhere.lora_up.weight': [24, 2] };
    await expect(withLora('nowhere', shapes)).rejects.toThrow(
      /no layer of the network takes: lora_unet_nowhere\.lora_up\.weight\. .*trained for this base model/,
    );
  });

  test('with the shapes of another base', async () => {
    const shapes = { [`${layer}.lora_down.weight`]: [2, 640], [`${layer}.lora_up.weight`]: [640, 2] };
    await expect(withLora('other-base', shapes)).rejects.toThrow(
      /does not fit the layer "mid_block\.attentions\.0\.proj_in": it has the shape \[2, 640\], and \[2, 24, 1, 1\] is needed/,
    );
  });

  test('with half of a layer', async () => {
    await expect(withLora('half', { [`${layer}.lora_down.weight`]: [2, 24] })).rejects.toThrow(
      /lora_down\.weight" without what belongs to it/,
    );
  });

  test('with two ranks in a layer', async () => {
    const shapes = { [`${layer}.lora_down.weight`]: [2, 24], [`${layer}.lora_up.weight`]: [24, 3] };
    await expect(withLora('ranks', shapes)).rejects.toThrow(/has the shape \[24, 3\], and \[24, 2\] is needed/);
    const none = { [`${layer}.lora_down.weight`]: [0, 24], [`${layer}.lora_up.weight`]: [24, 0] };
    await expect(withLora('no-rank', none)).rejects.toThrow(/has the shape \[0, 24\]/);
  });

  test('with an alpha that is not one number', async () => {
    const shapes = {
      [`${layer}.lora_down.weight`]: [2, 24],
      [`${layer}.lora_up.weight`]: [24, 2],
      [`${layer}.alpha`]: [2],
    };
    await expect(withLora('alpha', shapes)).rejects.toThrow(/not a single number/);
  });

  test.each([
    ['hada_w1_a', /hada_w1_a" without what belongs to it/],
    ['dora_scale', /dora_scale" without what belongs to it/],
    ['alpha', /alpha" without what belongs to it/],
    ['diff', /has the shape \[2, 2\], and \[24, 24, 1, 1\] is needed/],
    ['lora_magnitude_vector', /This is a DoRA with magnitudes as PEFT makes them/],
    ['oft_blocks', /This is an OFT/],
    ['weight', /Check that it is a LoRA/],
  ])('with what is no change of a layer: %s', async (suffix, message) => {
    await expect(withLora(suffix, { [`${layer}.${suffix}`]: [2, 2] })).rejects.toThrow(message);
  });

  test('with the difference of a bias that the layer lacks', async () => {
    const name = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.diff_b';
    await expect(withLora('no-bias', { [name]: [24] })).rejects.toThrow(
      /no layer of the network takes: .*to_q\.diff_b/,
    );
  });

  test('with magnitudes of another size', async () => {
    const shapes = {
      [`${layer}.lokr_w1`]: [3, 4],
      [`${layer}.lokr_w2`]: [8, 6],
      [`${layer}.dora_scale`]: [1, 23, 1, 1],
    };
    await expect(withLora('magnitudes', shapes)).rejects.toThrow(/dora_scale" .* has the shape \[1, 23, 1, 1\]/);
  });

  test('that is empty', async () => {
    await expect(withLora('empty', {})).rejects.toThrow(/is empty: it holds no tensor/);
  });

  test('twice under two names', async () => {
    const shapes = {
      [`${layer}.lora_down.weight`]: [2, 24],
      'unet.mid_block.attentions.0.proj_in.lora.down.weight': [2, 24],
    };
    await expect(withLora('twice', shapes)).rejects.toThrow(/twice, under two names/);
  });
});
