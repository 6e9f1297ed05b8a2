import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InputError, WeightError } from '../base/errors.ts';
import { clipTextNetwork } from '../networks/clip-text.ts';
import { unetNetwork } from '../networks/unet.ts';
import { fitLora } from './fit-lora.ts';
import type { LoraFile } from './lora.ts';
import { openNetworkFiles } from './network-files.ts';
import { type TensorToWrite, writeSafetensors } from './write-safetensors.ts';

const base = fileURLToPath(
  new URL('../../test/fixtures/pipelines/sdxl-weights/stabilityai/stable-diffusion-xl-base-1.0', import.meta.url),
);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-fit-'));
});
afterAll(() => rm(folder, { recursive: true }));

type Shapes = Record<string, readonly number[]>;

async function fitting(
  shapes: Shapes,
  dtype: 'F32' | 'I8' | 'F8_E4M3' | 'F8_E5M2' = 'F32',
): Promise<{ fitted: LoraFile; lines: string[] }> {
  const path = join(folder, `${expect.getState().currentTestName!.replaceAll(/\W+/g, '-')}.safetensors`);
  const tensors = Object.entries(shapes).map(([name, shape]): [string, TensorToWrite] => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    return [name, { dtype, shape, bytes: new Uint8Array((dtype === 'F32' ? 4 : 1) * size) }];
  });
  await writeSafetensors(path, new Map(tensors));
  const lines: string[] = [];
  const fitted = await fitLora(path, { base, field: 'custom_lora_url', log: (line) => lines.push(line) });
  return { fitted, lines };
}

/** Over all layers of the networks that a LoRA can be for, of rank 2. */
async function everyLayer(nameOf: (network: string, layer: string, part: 'down' | 'up') => string): Promise<Shapes> {
  const shapes: Shapes = {};
  for (const [network, stem] of networks) {
    const { weights } = await openNetworkFiles(join(base, network), stem);
    for (const name of weights.names()) {
      const shape = weights.shape(name);
      if (!name.endsWith('.weight') || shape.length < 2) continue;
      if (network !== 'unet' && !/\.(self_attn|mlp)\./.test(name)) continue;
      const layer = name.slice(0, -'.weight'.length);
      const [out, inside, ...kernel] = shape as [number, number, ...number[]];
      shapes[nameOf(network, layer, 'down')] = [2, inside, ...kernel];
      shapes[nameOf(network, layer, 'up')] = [out, 2, ...kernel.map(() => 1)];
    }
  }
  return shapes;
}

const networks = [
  ['unet', 'diffusion_pytorch_model'],
  ['text_encoder', 'model'],
  ['text_encoder_2', 'model'],
] as const;

const kohya = (network: string, layer: string, part: string): string => {
  const prefix = { unet: 'lora_unet', text_encoder: 'lora_te1', text_encoder_2: 'lora_te2' }[network];
  return `${prefix}_${layer.replaceAll('.', '_')}.lora_${part}.weight`;
};
const peft = (network: string, layer: string, part: string): string =>
  `${network}.${layer}.lora_${part === 'down' ? 'A' : 'B'}.weight`;

const layer = 'lora_unet_mid_block_attentions_0_proj_in';
async function oneLayer(): Promise<Shapes> {
  const all = await everyLayer(kohya);
  return Object.fromEntries(Object.entries(all).filter(([name]) => name.startsWith(`${layer}.`)));
}

test.each(['F8_E4M3', 'F8_E5M2'] as const)('floats of eight bits are floats: %s', async (dtype) => {
  const { fitted, lines } = await fitting(await oneLayer(), dtype);
  expect(fitted).toMatchObject({ passedOver: new Set() });
  expect(lines).toEqual([]);
});

describe('every layer that fits is one that the networks take, named', () => {
  test.each([
    ['as kohya does', kohya],
    ['as PEFT does', peft],
  ])('%s', async (_, nameOf) => {
    const { fitted, lines } = await fitting(await everyLayer(nameOf));
    expect(lines).toEqual([]);
    const shape = { batch: 1, height: 8, width: 8, textLength: 5 };
    const unet = await unetNetwork(join(base, 'unet'), shape, { loras: [fitted] }).build();
    expect(unet.inputs.map(({ name }) => name)).toContain('lora_scale.0');
    for (const [name, target] of [
      ['text_encoder', 'textEncoder'],
      ['text_encoder_2', 'textEncoder2'],
    ] as const) {
      const outputs =
        target === 'textEncoder' ? (['hidden_states.-1'] as const) : (['hidden_states.-1', 'text_embeds'] as const);
      const loras = { files: [fitted], target };
      await clipTextNetwork(join(base, name), { batch: 1, length: 77 }, outputs, loras).build();
    }
  });
});

test('the layout of Replicate’s trainer: attention processors, without alpha and without a prefix', async () => {
  const name = 'mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora';
  const { weights } = await openNetworkFiles(join(base, 'unet'), 'diffusion_pytorch_model');
  const [out, inside] = weights.shape('mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0.weight');
  const { lines } = await fitting({ [`${name}.down.weight`]: [4, inside!], [`${name}.up.weight`]: [out!, 4] });
  expect(lines).toEqual([]);
});

describe('what fits is taken, what does not is passed over with a line:', () => {
  test.each<[string, Shapes]>([
    [
      'layers that the model lacks',
      { 'lora_unet_nowhere.lora_down.weight': [2, 3], 'lora_unet_nowhere.lora_up.weight': [3, 2] },
    ],
    [
      'layers of another size',
      { 'lora_unet_conv_in.lora_down.weight': [2, 9, 3, 3], 'lora_unet_conv_in.lora_up.weight': [640, 2, 1, 1] },
    ],
    ['half of a layer', { 'lora_unet_conv_out.lora_up.weight': [4, 2] }],
    ['names of no trainer', { anything: [3], 'emphasis_vector.weight': [2, 2] }],
    ['norms of another size', { 'lora_unet_conv_norm_out.w_norm': [8], 'lora_unet_conv_norm_out.b_norm': [8] }],
    ['the bias of a norm without its weights', { 'lora_unet_conv_norm_out.b_norm': [4] }],
    [
      'a bias that the layer lacks',
      { 'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.diff_b': [12] },
    ],
    ['alpha alone', { 'lora_unet_conv_in.alpha': [1] }],
    ['tables of tokens', { 'lora_te1_text_model_embeddings_token_embedding.diff': [49408, 8] }],
    ['norms of text encoders', { 'lora_te1_text_model_final_layer_norm.diff': [8] }],
    [
      'the projection of the second text encoder',
      { 'lora_te2_text_projection.lora_down.weight': [2, 12], 'lora_te2_text_projection.lora_up.weight': [10, 2] },
    ],
    ['magnitudes of another size', { [`${layer}.dora_scale`]: [1, 8] }],
    ['magnitudes of more axes', { [`${layer}.dora_scale`]: [1, 12, 1, 1] }],
    [
      'half of a second kind',
      { [`${layer}.hada_w1_a`]: [12, 2], [`${layer}.lokr_w2`]: [4, 4], [`${layer}.a1.weight`]: [2, 12] },
    ],
    ['the same layer under another name', { 'unet.mid_block.attentions.0.proj_in.lora.down.weight': [2, 8] }],
    [
      'a GLoRA of a norm',
      {
        'lora_unet_conv_norm_out.a1.weight': [2, 1],
        'lora_unet_conv_norm_out.a2.weight': [1, 2],
        'lora_unet_conv_norm_out.b1.weight': [2, 1],
        'lora_unet_conv_norm_out.b2.weight': [4, 2],
      },
    ],
    ['a part of no shape', { 'lora_unet_conv_in.lora_down.weight': [], 'lora_unet_conv_in.lora_up.weight': [] }],
    [
      'a rank of zero',
      { 'lora_unet_conv_in.lora_down.weight': [0, 4, 3, 3], 'lora_unet_conv_in.lora_up.weight': [8, 0] },
    ],
  ])('%s', async (_, others) => {
    const { fitted, lines } = await fitting({ ...(await oneLayer()), ...others });
    expect(lines.toSorted()).toEqual(
      Object.keys(others)
        .map((name) => `lora key not loaded: ${name}`)
        .toSorted(),
    );
    const network = unetNetwork(
      join(base, 'unet'),
      { batch: 1, height: 8, width: 8, textLength: 5 },
      { loras: [fitted] },
    );
    await expect(network.build()).resolves.toBeDefined();
  });

  test('magnitudes of a norm', async () => {
    const norm = 'lora_unet_conv_norm_out';
    const parts = { [`${norm}.lora_down.weight`]: [2, 1], [`${norm}.lora_up.weight`]: [4, 2] };
    const { lines } = await fitting({ ...parts, [`${norm}.dora_scale`]: [4] });
    expect(lines).toEqual([`lora key not loaded: ${norm}.dora_scale`]);
  });

  test('a hundred of them take 21 lines', async () => {
    const others = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`unknown.${index}`, [1]]));
    const { lines } = await fitting({ ...(await oneLayer()), ...others });
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe('and 80 more of 102 lora keys');
  });
});

/** Of a linear layer [12, 12] and a convolution [12, 12, 3, 3]. */
const [matrix, kernel] = ['lora_unet_mid_block_attentions_0_proj_in', 'lora_unet_mid_block_resnets_0_conv1'];
const kinds: readonly (readonly [string, Shapes])[] = [
  [
    'LoHa',
    {
      [`${matrix}.hada_w1_a`]: [12, 3],
      [`${matrix}.hada_w1_b`]: [3, 12],
      [`${matrix}.hada_w2_a`]: [12, 2],
      [`${matrix}.hada_w2_b`]: [2, 12],
      [`${matrix}.alpha`]: [],
    },
  ],
  [
    'LoHa with cores',
    {
      [`${kernel}.hada_t1`]: [2, 3, 3, 3],
      [`${kernel}.hada_w1_a`]: [2, 12],
      [`${kernel}.hada_w1_b`]: [3, 12],
      [`${kernel}.hada_t2`]: [1, 1, 3, 3],
      [`${kernel}.hada_w2_a`]: [1, 12],
      [`${kernel}.hada_w2_b`]: [1, 12],
    },
  ],
  ['LoKr of two matrices', { [`${matrix}.lokr_w1`]: [3, 4], [`${matrix}.lokr_w2`]: [4, 3] }],
  [
    'LoKr with a core',
    {
      [`${kernel}.lokr_w1_a`]: [3, 1],
      [`${kernel}.lokr_w1_b`]: [1, 4],
      [`${kernel}.lokr_t2`]: [2, 3, 3, 3],
      [`${kernel}.lokr_w2_a`]: [2, 4],
      [`${kernel}.lokr_w2_b`]: [3, 3],
    },
  ],
  [
    'GLoRA',
    {
      [`${kernel}.a1.weight`]: [2, 12, 3, 3],
      [`${kernel}.a2.weight`]: [108, 2, 1, 1],
      [`${kernel}.b1.weight`]: [3, 12, 3, 3],
      [`${kernel}.b2.weight`]: [12, 3, 1, 1],
    },
  ],
  ['whole differences', { [`${kernel}.diff`]: [12, 12, 3, 3], [`${kernel}.diff_b`]: [12], [`${matrix}.diff_b`]: [12] }],
  ['norms', { 'lora_unet_conv_norm_out.w_norm': [4], 'lora_unet_conv_norm_out.b_norm': [4] }],
  [
    'DoRA',
    {
      [`${matrix}.lokr_w1`]: [1, 1],
      [`${matrix}.lokr_w2`]: [12, 12],
      [`${matrix}.dora_scale`]: [1, 12],
      [`${kernel}.lora_down.weight`]: [2, 108],
      [`${kernel}.lora_up.weight`]: [12, 2],
      [`${kernel}.dora_scale`]: [1, 12, 1, 1],
    },
  ],
];
const textKinds: Shapes = {
  'lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lokr_w1': [2, 2],
  'lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lokr_w2': [4, 4],
  'text_encoder_2.text_model.encoder.layers.1.mlp.fc1.diff_b': [28],
};

describe('other kinds than LoRA', () => {
  test.each([...kinds, ['of text encoders', textKinds] as const])('are taken: %s', async (_, shapes) => {
    const { fitted, lines } = await fitting(shapes);
    expect(lines).toEqual([]);
    const unet = unetNetwork(
      join(base, 'unet'),
      { batch: 1, height: 8, width: 8, textLength: 5 },
      { loras: [fitted, fitted] },
    );
    await expect(unet.build()).resolves.toBeDefined();
  });

  test.each<[string, Shapes]>([
    ['of a rank of zero', { [`${matrix}.a1.weight`]: [0, 12], [`${matrix}.a2.weight`]: [12, 0] }],
    ['of no shape', { [`${matrix}.diff`]: [] }],
    ['whose axes are others', { [`${matrix}.diff`]: [12, 12, 1, 1] }],
    ['that fit by their number alone', { [`${matrix}.lokr_w1`]: [2, 9], [`${matrix}.lokr_w2`]: [4, 2] }],
    ['that do not divide the layer', { [`${matrix}.lokr_w1`]: [5, 5], [`${matrix}.lokr_w2`]: [2, 2] }],
    ['larger than the layer', { [`${matrix}.lokr_w1`]: [4096, 4096], [`${matrix}.lokr_w2`]: [1, 1] }],
    ['that are nothing', { [`${matrix}.lokr_w1`]: [0, 0], [`${matrix}.lokr_w2`]: [12, 12] }],
    [
      'with a core of a rank that takes memory alone',
      {
        [`${kernel}.lokr_w1`]: [1, 1],
        [`${kernel}.lokr_t2`]: [4097, 1, 3, 3],
        [`${kernel}.lokr_w2_a`]: [4097, 12],
        [`${kernel}.lokr_w2_b`]: [1, 12],
      },
    ],
  ])('are passed over: %s', async (_, others) => {
    const taken = { [`${kernel}.diff_b`]: [12] };
    const { lines } = await fitting({ ...taken, ...others });
    expect(lines.toSorted()).toEqual(
      Object.keys(others)
        .map((name) => `lora key not loaded: ${name}`)
        .toSorted(),
    );
  });

  test('of two in one layer the one that ComfyUI reads last is taken', async () => {
    const { lines } = await fitting({ ...(await oneLayer()), [`${layer}.diff`]: [12, 12] });
    expect(lines).toEqual(Object.keys(await oneLayer()).map((name) => `lora key not loaded: ${name}`));
  });
});

describe('an error that names the input:', () => {
  const refused = async (shapes: Shapes, dtype?: 'I8'): Promise<InputError> => {
    const error = await fitting(shapes, dtype).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).field).toBe('custom_lora_url');
    expect((error as InputError).message).not.toContain(folder);
    return error as InputError;
  };

  test('a LoRA for Stable Diffusion 1.5', async () => {
    const place = 'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k';
    const { message } = await refused({
      [`${place}.lora_down.weight`]: [4, 768],
      [`${place}.lora_up.weight`]: [320, 4],
    });
    expect(message).toMatch(/^custom_lora_url: .*It is a LoRA for another base model/);
  });

  test.each(['oft_blocks', 'oft_diag', 'oft_R.weight', 'oft_r.default', 'boft_R'])('an OFT: %s', async (suffix) => {
    const { message } = await refused({ [`${layer}.${suffix}`]: [2, 6, 6], [`${layer}.alpha`]: [] });
    expect(message).toMatch(/This is an OFT or BOFT.* Give one that was trained as a LoRA, LoHa or LoKr/);
  });

  test.each(['lora_magnitude_vector', 'lora_magnitude_vector.default.weight'])(
    'a DoRA of PEFT, of which the half that fits would be wrong: %s',
    async (suffix) => {
      expect((await refused({ ...(await oneLayer()), [`${layer}.${suffix}`]: [12] })).message).toMatch(
        /This is a DoRA .*lora_magnitude_vector.* Give it in the layout of LyCORIS/,
      );
    },
  );

  test('a file that is no LoRA', async () => {
    expect((await refused({ 'text_projection.weight': [2, 2] })).message).toMatch(
      /None of its tensors is part of a LoRA/,
    );
    expect((await refused({})).message).toMatch(/None of its tensors/);
  });

  test('whole numbers, and an alpha that is not one number', async () => {
    expect((await refused(await oneLayer(), 'I8')).message).toMatch(/No layer of the model fits the LoRA/);
    expect((await refused({ ...(await oneLayer()), [`${layer}.alpha`]: [3] })).message).toMatch(/not a single number/);
  });
});

describe('a fault that is not the caller’s names the file:', () => {
  test('of a LoRA of the model’s own', async () => {
    const path = join(folder, 'own.safetensors');
    await writeFile(path, 'nothing');
    const error = await fitLora(path, { base, log() {} }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(WeightError);
    expect((error as WeightError).message).toContain(path);
  });

  test('of the base', async () => {
    const nowhere = join(folder, 'no-base');
    const options = { base: nowhere, field: 'custom_lora_url', log() {} };
    const error = await fitLora(join(folder, 'any.safetensors'), options).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(WeightError);
    expect((error as WeightError).message).toContain(nowhere);
  });
});

test('no message to a caller has the path, also where it is a symbolic link', async () => {
  const target = join(folder, 'target.safetensors');
  await writeFile(target, 'nothing');
  const path = join(folder, 'link.safetensors');
  await symlink(target, path);
  const error = await fitLora(path, { base, field: 'custom_lora_url', log() {} }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InputError);
  expect((error as InputError).message).not.toContain(folder);
});
