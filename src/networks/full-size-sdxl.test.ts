/**
 * The graphs of the published SDXL and of all that its models put into it, built from what the headers of the files say;
 * no weights are needed. A tensor that a network lacks, does not use, uses twice or expects in another shape fails the
 * build, and so does a LoRA with a layer that the network does not have.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Header,
  headerBytes,
  recordedHeader,
  tensorsOfHeader,
  weightsOfHeader,
} from '../../test/support/recorded-header.ts';
import { type Lora, loraLayers, withLoras } from '../weights/lora.ts';
import type { LoraTarget } from '../weights/lora-names.ts';
import { clipTextConfig } from './clip-config.ts';
import { clipTextModel } from './clip-text.ts';
import type { ControlnetUse } from './controlnet.ts';
import { photomakerIdConfig, photomakerIdModel } from './photomaker-id.ts';
import { resamplerConfig, resamplerModel } from './resampler.ts';
import { type UnetExtras, unetModel } from './unet.ts';
import { controlnetConfig, unetConfig } from './unet-config.ts';

/** The published configurations, as far as shapes do not tell it; the rest is the default. */
const published = {
  attention_head_dim: [5, 10, 20],
  addition_embed_type: 'text_time',
  addition_time_embed_dim: 256,
  cross_attention_dim: 2048,
};
const first = { num_attention_heads: 12, hidden_act: 'quick_gelu', eos_token_id: 2 };
const second = { num_attention_heads: 20, hidden_act: 'gelu', eos_token_id: 2 };
const shape = { batch: 1, height: 160, width: 160, textLength: 77 };

function unet(loras: readonly Lora[] = []) {
  const weights = weightsOfHeader(recordedHeader('sdxl-unet'), 'sdxl-unet');
  return { config: unetConfig(published, weights), weights: withLoras(weights, loras) };
}

let nets = 0;

/** Each from a file of its own, as they are published. */
function controlnet(name: string): ControlnetUse {
  const weights = weightsOfHeader(recordedHeader(name), `${name}-${nets++}`);
  return { config: controlnetConfig(published, weights), weights, conditionBatch: 1 };
}

const identityNet = () => ({ ...controlnet('sdxl-controlnet'), contextLength: 16 });

/** `ip-adapter.bin` has both. */
const faceAdapter = { ...recordedHeader('instant-id-image-proj'), ...recordedHeader('sdxl-image-tokens') };
const faces = (): UnetExtras => ({
  imageTokens: { weights: weightsOfHeader(faceAdapter, 'ip-adapter'), length: 16 },
});

let folder: string;
let alphas: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alphas-'));
  alphas = join(folder, 'alpha');
  await writeFile(alphas, Uint16Array.of(0x4800)); // 8 as a half
});
afterAll(() => rm(folder, { recursive: true }));

/** The only values of a LoRA that are read when a graph is built are its alphas. */
async function lora(header: Header, target: LoraTarget): Promise<Lora> {
  const tensors = tensorsOfHeader(header, '/lora');
  for (const [name, tensor] of tensors) {
    if (name.endsWith('.alpha')) tensors.set(name, { ...tensor, file: alphas, offset: 0 });
  }
  return { source: 'lora', layers: await loraLayers(tensors, 'lora', target) };
}

function withRank(header: Header, rank: number): Header {
  const rankOf = (name: string, dims: number[]): number[] => {
    if (name.endsWith('.alpha')) return dims;
    return dims.with(/down\.weight$/.test(name) ? 0 : 1, rank);
  };
  return Object.fromEntries(Object.entries(header).map(([name, [dtype, dims]]) => [name, [dtype, rankOf(name, dims)]]));
}

describe('every tensor of the published SDXL file is used once by the graph of', () => {
  test('the UNet', () => {
    const net = unet();
    expect(net.config).toMatchObject({
      contextWidth: 2048,
      linearProjection: true,
      added: { pooledWidth: 1280, timeIds: 6, timeWidth: 256 },
      down: [
        { channels: 320, heads: 5, depths: [null, null] },
        { channels: 640, heads: 10, depths: [2, 2] },
        { channels: 1280, heads: 20, depths: [10, 10] },
      ],
      middle: { channels: 1280, heads: 20, depths: [10] },
      up: [
        { channels: 1280, heads: 20, depths: [10, 10, 10] },
        { channels: 640, heads: 10, depths: [2, 2, 2] },
        { channels: 320, heads: 5, depths: [null, null, null] },
      ],
    });
    const model = unetModel(net, shape);
    expect(model.inputs.slice(3)).toEqual([
      { name: 'text_embeds', type: 'float32', dims: [1, 1280] },
      { name: 'time_ids', type: 'float32', dims: [1, 6] },
    ]);
    expect(model.bytes.byteLength).toBeLessThan(1_500_000);
    expect(model.memory.weights).toBe(headerBytes(recordedHeader('sdxl-unet')));
  });

  test('the small ControlNet, whose middle is an empty transformer', () => {
    const { config } = controlnet('sdxl-controlnet-small');
    expect(config).toMatchObject({ contextWidth: 2048, linearProjection: true, middle: { depths: [0] } });
    expect(config.down.flatMap(({ depths }) => depths)).toEqual(new Array(6).fill(null));
  });

  test('another base than the ControlNet was made for is refused', () => {
    const weights = weightsOfHeader(recordedHeader('sd15-controlnet'), 'sd15-controlnet');
    const config = controlnetConfig({ attention_head_dim: 8 }, weights);
    const other = { config, weights, conditionBatch: 1, contextLength: 77 };
    expect(() => unetModel(unet(), shape, { controlnets: [other] })).toThrow(/The ControlNet does not fit the UNet/);
    const base = weightsOfHeader(recordedHeader('sd15-unet'), 'sd15-unet');
    const small = { config: unetConfig({ attention_head_dim: 8 }, base), weights: base };
    expect(() => unetModel(small, shape, { controlnets: [identityNet()] })).toThrow(/does not fit the UNet/);
  });
});

/** Of memory, as docs/performance.md gives it. */
const gigabytes = (bytes: number): number => Math.round(bytes / 1e8) / 10;

describe('instant-id: every tensor is used once by the graph of the UNet with', () => {
  const nets = (...names: string[]) => names.map((name) => ({ ...controlnet(name), contextLength: 16 }));

  test('image tokens, IdentityNet and pose, as by default', () => {
    const model = unetModel(unet(), shape, { ...faces(), controlnets: nets('sdxl-controlnet', 'sdxl-controlnet') });
    expect(gigabytes(model.memory.weights)).toBe(21.6);
    expect(gigabytes(model.memory.working)).toBeLessThanOrEqual(0.7);
  });

  test('image tokens, IdentityNet, pose, canny, depth and latent consistency', async () => {
    const lcm = await lora(recordedHeader('lora-lcm-sdxl'), 'unet');
    expect(lcm.layers.size).toBe(788);
    const model = unetModel(unet([lcm]), shape, {
      ...faces(),
      controlnets: [
        ...nets('sdxl-controlnet', 'sdxl-controlnet', 'sdxl-controlnet'),
        controlnet('sdxl-controlnet-small'),
      ],
    });
    expect(model.inputs.map(({ name, dims }) => `${name} ${dims.join('×')}`).slice(5)).toEqual([
      'lora_scale.0 1',
      ...[0, 1, 2].flatMap((index) => [
        `controlnet_encoder_hidden_states.${index} 1×16×2048`,
        `controlnet_cond.${index} 1×3×1280×1280`,
        `conditioning_scale.${index} 1`,
      ]),
      'controlnet_cond.3 1×3×1280×1280',
      'conditioning_scale.3 1',
      'image_prompt_embeds 1×16×2048',
      'ip_adapter_scale 1',
    ]);
    // The LoRA is in halves.
    expect(gigabytes(model.memory.weights)).toBe(27.7);
    expect(gigabytes(model.memory.working)).toBeLessThanOrEqual(1.1);
  });
});

test("instant-id: the resampler's tensors lie beside the image attention's", () => {
  const weights = weightsOfHeader(faceAdapter, 'ip-adapter');
  const config = resamplerConfig({}, weights);
  expect(resamplerModel({ config, weights }, { batch: 1, length: 1 }).outputs[0]!.dims).toEqual([1, 16, 2048]);
});

describe('photomaker: every tensor of the file is used once', () => {
  const attention = recordedHeader('lora-attention-sdxl');
  const file = (rank: number): Header => ({
    ...recordedHeader('photomaker-v1'),
    ...Object.fromEntries(
      Object.entries(withRank(attention, rank)).map(([name, value]) => [`lora_weights.${name}`, value]),
    ),
  });

  test.each([4, 64])('by the identity encoder and, of rank %i, by the UNet', async (rank) => {
    const encoder = weightsOfHeader(file(rank), 'photomaker-v1');
    const config = photomakerIdConfig({}, encoder);
    photomakerIdModel({ config, weights: encoder }, { photos: 4, textLength: 77 });
    const added = await lora(file(rank), 'unet');
    expect(added.layers.size).toBe(560);
    const model = unetModel(unet([added]), { ...shape, height: 128, width: 128 });
    const bytes = headerBytes(withRank(attention, rank)) + headerBytes(recordedHeader('sdxl-unet'));
    expect(model.memory.weights).toBe(bytes);
  });
});

describe('face-to-many: every tensor is used once', () => {
  test.each([
    ['by the names of the training code', 'lora-kohya-sdxl', 722],
    ["by diffusers' first names", 'lora-attention-sdxl', 560],
  ])('by the UNet with IdentityNet, zoe depth and a style %s', async (_, header, layers) => {
    const style = await lora(recordedHeader(header), 'unet');
    expect(style.layers.size).toBe(layers);
    const controlnets = [identityNet(), { ...controlnet('sdxl-controlnet'), contextLength: 16 }];
    const model = unetModel(unet([style]), { ...shape, height: 128, width: 96 }, { ...faces(), controlnets });
    expect(model.outputs).toEqual([{ name: 'sample', type: 'float32', dims: [1, 4, 128, 96] }]);
  });

  // Megabytes, as pages about them tell: of which rank they are follows from it.
  test.each([
    ['lora-kohya-sdxl', 32, 171],
    ['lora-kohya-sdxl', 128, 681],
    ['lora-attention-sdxl', 32, 186],
  ])('%s of rank %i is as large as one that is published', (header, rank, megabytes) => {
    const bytes = headerBytes(withRank(recordedHeader(header), rank));
    expect(Math.abs(bytes / 1e6 - megabytes)).toBeLessThan(1);
  });

  test('by the text encoders with a style that also changes them', async () => {
    const header = { ...recordedHeader('lora-kohya-sdxl'), ...recordedHeader('lora-kohya-text') };
    const encoders = [
      ['sd15-text-encoder', first, 'textEncoder', 72],
      ['sdxl-text-encoder-2', second, 'textEncoder2', 192],
    ] as const;
    for (const [name, json, target, layers] of encoders) {
      const style = await lora(header, target);
      expect(style.layers.size).toBe(layers);
      const plain = weightsOfHeader(recordedHeader(name), name);
      const config = clipTextConfig(json, plain);
      const weights = withLoras(plain, [style]);
      clipTextModel({ config, weights }, { batch: 2, length: 77 }, ['hidden_states.-1']);
    }
  });
});
