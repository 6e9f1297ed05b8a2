import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Content, contentOf, fixture, recordedContent } from '../../test/support/weight-content.ts';
import { WeightError } from '../base/errors.ts';
import { type Components, splitCheckpoint } from './checkpoint.ts';
import type { TensorRef } from './safetensors.ts';
import { openWeights } from './scope.ts';
import { readWeightFile } from './weight-formats.ts';

type Shapes = Record<string, number[]>;

function json<Value>(path: string): Value {
  return JSON.parse(readFileSync(new URL(`../../test/fixtures/${path}`, import.meta.url), 'utf8')) as Value;
}

function described(shapes: Shapes): Map<string, TensorRef> {
  const entries = Object.entries(shapes).map(([name, shape]): [string, TensorRef] => {
    const byteLength = shape.reduce((product, dim) => product * dim, 2);
    return [name, { name, file: '/weights', offset: 0, byteLength, dtype: 'F16', shape }];
  });
  return new Map(entries);
}

/** `{"unet: conv_in.weight": …}` */
function flat<Value>(components: Components, value: (tensor: TensorRef) => Value): Record<string, Value> {
  const entries = Object.entries(components).flatMap(([component, tensors]) =>
    [...tensors].map(([name, tensor]): [string, Value] => [`${component}: ${name}`, value(tensor)]),
  );
  return Object.fromEntries(entries);
}

describe('what the reference converts comes out here with the same names, shapes and values', () => {
  test.each([
    ['sd15.ckpt', 'sd15.json'],
    ['sdxl.safetensors', 'sdxl.json'],
    ['control.pth', 'control.json'],
  ])('%s', async (file, expected) => {
    const components = splitCheckpoint(await readWeightFile(fixture(file)), file)!;
    const actual: Content = {};
    for (const [component, tensors] of Object.entries(components)) {
      for (const [name, content] of Object.entries(await contentOf(tensors))) {
        if (!(component === 'textEncoder' && name.endsWith('position_ids'))) actual[`${component}: ${name}`] = content;
      }
    }
    const recorded = Object.entries(recordedContent(expected)).filter(([name]) => !name.endsWith('position_ids'));
    expect(actual).toEqual(Object.fromEntries(recorded));
  });
});

describe('at full size every tensor has one place', () => {
  /** Of the files in the later layout. */
  const header = (name: string, component: string): [string, number[]][] =>
    Object.entries(json<Record<string, [string, number[]]>>(`headers/${name}.json`)).map(([key, [, shape]]) => [
      `${component}: ${key}`,
      shape,
    ]);

  test.each<[string, () => [string, number[]][]]>([
    [
      'sd15',
      () => [
        ...header('sd15-unet', 'unet'),
        ...header('sd15-vae', 'vae'),
        ...header('sd15-text-encoder', 'textEncoder'),
      ],
    ],
    ['sdxl', () => Object.entries(json<Shapes>('weights/full-size/sdxl.json'))],
    ['control', () => header('sd15-controlnet', 'controlnet')],
  ])('%s', (name, expected) => {
    const original = described(json<Shapes>(`weights/full-size/${name}-original.json`));
    const components = splitCheckpoint(original, name)!;
    expect(flat(components, ({ shape }) => shape)).toEqual(Object.fromEntries(expected()));
  });
});

describe('a checkpoint', () => {
  const names = (shapes: Shapes): string[] => Object.keys(flat(splitCheckpoint(described(shapes), 'x.ckpt')!, () => 0));
  const down = { 'model.diffusion_model.input_blocks.3.0.op.weight': [4, 4, 3, 3] };

  test('that lacks a level of the text encoder gets it back', () => {
    const short = 'cond_stage_model.transformer.encoder.layers.0.layer_norm1.weight';
    expect(names({ [short]: [4] })).toEqual(['textEncoder: text_model.encoder.layers.0.layer_norm1.weight']);
  });

  test('of a VAE or a ControlNet alone may lack the prefix', () => {
    const vae = { 'decoder.mid.block_1.norm1.weight': [4], 'decoder.up.3.block.0.conv1.weight': [4, 4, 3, 3] };
    expect(names({ ...vae, 'loss.logvar': [] })).toEqual([
      'vae: decoder.mid_block.resnets.0.norm1.weight',
      'vae: decoder.up_blocks.0.resnets.0.conv1.weight',
    ]);
    const controlnet = { 'input_hint_block.0.weight': [4], 'input_blocks.0.0.weight': [4] };
    expect(names(controlnet)).toEqual([
      'controlnet: controlnet_cond_embedding.conv_in.weight',
      'controlnet: conv_in.weight',
    ]);
  });

  test('may carry what saving tools leave beside the text encoders of SDXL', () => {
    const ofTools = {
      'conditioner.embedders.0.logit_scale': [],
      'conditioner.embedders.1.model.logit_scale': [],
      'conditioner.embedders.1.model.transformer.text_model.embeddings.position_ids': [1, 77],
    };
    expect(names({ ...ofTools, 'conditioner.embedders.1.model.ln_final.weight': [4] })).toEqual([
      'textEncoder2: text_model.final_layer_norm.weight',
    ]);
  });

  test('with unknown tensors is refused with their names', () => {
    const open = () => names({ ...down, v_pred: [1], 'cond_stage_model.model.ln_final.weight': [4] });
    expect(open).toThrow(WeightError);
    expect(open).toThrow(/x\.ckpt has 2 tensors that belong to no network: v_pred, cond_stage_model\.model\.ln_final/);
  });

  test('with averages only is none', () => {
    expect(splitCheckpoint(described({ 'model_ema.diffusion_modelout2bias': [4] }), 'x.ckpt')).toBeUndefined();
  });

  test('that says one thing twice is refused', () => {
    const start = 'cond_stage_model.transformer.';
    const twice = { [`${start}encoder.x`]: [4], [`${start}text_model.encoder.x`]: [4] };
    expect(() => names(twice)).toThrow(/holds "text_model\.encoder\.x" of its textEncoder twice/);
  });

  test('whose fused matrix has no three parts is refused', () => {
    const fused = 'conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight';
    expect(() => names({ [fused]: [10, 4] })).toThrow(/cannot be divided into query, key and value/);
    expect(() => names({ [fused]: [] })).toThrow(/cannot be divided into query, key and value/);
  });

  test('whose projection is no matrix is refused', () => {
    expect(() => names({ 'conditioner.embedders.1.model.text_projection': [4] })).toThrow(
      /text_projection" .* no matrix/,
    );
  });

  test('may have any number of names', () => {
    const many = Object.fromEntries(Array.from({ length: 150_000 }, (_, index) => [`control_model.t${index}`, [1]]));
    expect(names(many)).toHaveLength(150_000);
  });

  test('in the later layout is none', () => {
    expect(splitCheckpoint(described({ 'down_blocks.0.resnets.0.conv1.weight': [4] }), 'x')).toBeUndefined();
  });
});

describe('the weights of a network are opened from', () => {
  test('its part of a checkpoint', async () => {
    const unet = await openWeights([fixture('sd15.ckpt')], 'unet');
    expect(unet.shape('conv_in.weight')).toEqual([4, 4, 3, 3]);
    expect(unet.has('decoder.conv_in.weight')).toBe(false);
  });

  test('a checkpoint that lacks it, never', async () => {
    await expect(openWeights([fixture('sd15.ckpt')], 'textEncoder2')).rejects.toThrow(
      /has no textEncoder2, only unet, vae, textEncoder\./,
    );
  });

  test('a file of its own', async () => {
    expect((await openWeights([fixture('maps.bin')], 'unet')).has('lora_weights.unet.up.weight')).toBe(true);
  });
});
