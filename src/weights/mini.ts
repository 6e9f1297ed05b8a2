/**
 * The mini set: small networks of the same architectures and file layouts as the published ones, so that every model
 * answers on any machine, offline, in seconds. They are made from this recipe on first use and are untrained.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClipTextConfig } from '../networks/clip-config.ts';
import { clipTextModel } from '../networks/clip-text.ts';
import { controlnetModel } from '../networks/controlnet.ts';
import { unetModel } from '../networks/unet.ts';
import {
  type ControlnetConfig,
  mirrored,
  type UnetConfig,
  type UnetEncoderConfig,
  type UnetLevel,
} from '../networks/unet-config.ts';
import type { VaeDecoderConfig } from '../networks/vae-config.ts';
import { vaeDecoderModel } from '../networks/vae-decoder.ts';
import { type InventedWeights, inventWeights } from './random-weights.ts';

const context = 64;
const norm = { groups: 8, epsilon: 1e-5 };

const clipText: ClipTextConfig = {
  vocabulary: 49408,
  positions: 77,
  width: context,
  mlpWidth: 256,
  layers: 2,
  heads: 4,
  activation: 'quick_gelu',
  epsilon: 1e-5,
  pooledToken: 49407,
};
const levels: readonly UnetLevel[] = [
  { channels: 16, heads: 1, depth: 1 },
  { channels: 32, heads: 1, depth: 1 },
  { channels: 64, heads: 2, depth: 1 },
  { channels: 64, heads: 2, depth: null },
];
const layers = 2;
const unet: UnetConfig = {
  inChannels: 4,
  outChannels: 4,
  ...mirrored(levels, layers),
  contextWidth: context,
  linearProjection: false,
  norm,
};
const controlnet: ControlnetConfig = { ...unet, conditionChannels: [4, 8, 16, 16], conditionOrder: 'rgb' };
const vaeDecoder: VaeDecoderConfig = {
  pictureChannels: 3,
  latentChannels: 4,
  levels: [64, 64, 32, 16],
  layers: 3,
  norm: { groups: 8, epsilon: 1e-6 },
};

interface MiniNetwork {
  /** Below the repository; empty for the repository itself. */
  folder: string;
  stem: string;
  config: Record<string, unknown>;
  invent(): InventedWeights;
}

/** By the name on the hub of the repository that each one stands in for. */
const repositories: Record<string, readonly MiniNetwork[]> = {
  'runwayml/stable-diffusion-v1-5': [
    { folder: 'text_encoder', stem: 'model', config: clipTextJson(clipText), invent: inventClipText },
    { folder: 'unet', stem: 'diffusion_pytorch_model', config: unetJson(unet), invent: inventUnet },
    { folder: 'vae', stem: 'diffusion_pytorch_model', config: vaeJson(vaeDecoder), invent: inventVaeDecoder },
  ],
  'lllyasviel/sd-controlnet-canny': [
    { folder: '', stem: 'diffusion_pytorch_model', config: controlnetJson(controlnet), invent: inventControlnet },
  ],
};

/** Part of the folder's name: goes up when the same recipe would give other bytes. */
const generation = 1;
const recipe = createHash('sha256')
  .update(JSON.stringify([generation, repositories]))
  .digest('hex')
  .slice(0, 12);

/**
 * The folder that stands in for the first of the repositories that the recipe knows, written unless it is there;
 * `undefined` when it knows none.
 */
export async function miniFolder(names: readonly string[], home: string): Promise<string | undefined> {
  const name = names.find((candidate) => Object.hasOwn(repositories, candidate));
  if (!name) return undefined;
  const folder = join(home, 'weights', 'mini', recipe, name);
  for (const network of repositories[name]!) await writeNetwork(network, folder, name);
  return folder;
}

/** Two processes may write at once: both write the same bytes, and each file appears whole. */
async function writeNetwork(
  { stem, config, invent, folder: subfolder }: MiniNetwork,
  root: string,
  name: string,
): Promise<void> {
  const folder = join(root, subfolder);
  const weights = join(folder, `${stem}.safetensors`);
  if (await exists(weights)) return;
  await mkdir(folder, { recursive: true });
  // Before the weights, whose presence says that the network is complete.
  const temporary = join(folder, `config.json.${randomUUID()}.part`);
  await writeFile(temporary, `${JSON.stringify(config, null, 2)}\n`);
  await rename(temporary, join(folder, 'config.json'));
  await invent().write(weights, join(name, subfolder));
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function inventClipText(): InventedWeights {
  const invented = inventWeights();
  clipTextModel({ config: clipText, weights: invented.weights }, { batch: 1, length: 77 }, ['last_hidden_state']);
  return invented;
}

const anyShape = { batch: 1, height: 8, width: 8, textLength: 77 };

function inventUnet(): InventedWeights {
  const invented = inventWeights();
  unetModel({ config: unet, weights: invented.weights }, anyShape);
  return invented;
}

function inventControlnet(): InventedWeights {
  const invented = inventWeights();
  controlnetModel({ config: controlnet, weights: invented.weights }, { ...anyShape, conditionBatch: 1 });
  return invented;
}

function inventVaeDecoder(): InventedWeights {
  const invented = inventWeights();
  vaeDecoderModel({ config: vaeDecoder, weights: invented.weights }, anyShape);
  return invented;
}

function clipTextJson(config: ClipTextConfig): Record<string, unknown> {
  return {
    architectures: ['CLIPTextModel'],
    hidden_act: config.activation,
    hidden_size: config.width,
    intermediate_size: config.mlpWidth,
    layer_norm_eps: config.epsilon,
    max_position_embeddings: config.positions,
    model_type: 'clip_text_model',
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    vocab_size: config.vocabulary,
  };
}

function encoderJson(config: UnetEncoderConfig): Record<string, unknown> {
  return {
    attention_head_dim: levels.map((level) => level.heads),
    block_out_channels: levels.map((level) => level.channels),
    cross_attention_dim: config.contextWidth,
    down_block_types: levels.map(({ depth }) => (depth ? 'CrossAttnDownBlock2D' : 'DownBlock2D')),
    in_channels: config.inChannels,
    layers_per_block: layers,
    norm_eps: config.norm.epsilon,
    norm_num_groups: config.norm.groups,
  };
}

function unetJson(config: UnetConfig): Record<string, unknown> {
  return {
    _class_name: 'UNet2DConditionModel',
    ...encoderJson(config),
    out_channels: config.outChannels,
    up_block_types: levels.map(({ depth }) => (depth ? 'CrossAttnUpBlock2D' : 'UpBlock2D')).toReversed(),
  };
}

function controlnetJson(config: ControlnetConfig): Record<string, unknown> {
  return {
    _class_name: 'ControlNetModel',
    ...encoderJson(config),
    conditioning_embedding_out_channels: config.conditionChannels,
    controlnet_conditioning_channel_order: config.conditionOrder,
  };
}

function vaeJson(config: VaeDecoderConfig): Record<string, unknown> {
  return {
    _class_name: 'AutoencoderKL',
    block_out_channels: config.levels.toReversed(),
    down_block_types: config.levels.map(() => 'DownEncoderBlock2D'),
    latent_channels: config.latentChannels,
    layers_per_block: config.layers - 1,
    norm_num_groups: config.norm.groups,
    out_channels: 3,
    scaling_factor: 0.18215,
    up_block_types: config.levels.map(() => 'UpDecoderBlock2D'),
  };
}
