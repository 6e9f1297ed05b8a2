/** Small networks of Stable Diffusion 1.5 and its ControlNets. */
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
import { type MiniNetwork, type MiniRepositories, networkFolder } from './mini-file.ts';
import { miniSafetyChecker } from './mini-safety.ts';

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

/** Latents of a picture of 64×64, for graphs that are built for their weights alone. */
export const anyShape = { batch: 1, height: 8, width: 8, textLength: 77 };

const miniClipText: MiniNetwork = {
  config: clipText,
  build: (weights) => {
    clipTextModel({ config: clipText, weights }, { batch: 1, length: 77 }, ['last_hidden_state']);
  },
};

export const miniUnet: MiniNetwork & { config: UnetConfig } = {
  config: unet,
  build: (weights) => {
    unetModel({ config: unet, weights }, anyShape);
  },
};

export const miniVaeDecoder: MiniNetwork & { config: VaeDecoderConfig } = {
  config: vaeDecoder,
  build: (weights) => {
    vaeDecoderModel({ config: vaeDecoder, weights }, anyShape);
  },
};

function miniControlnet(config: ControlnetConfig): MiniNetwork {
  return {
    config,
    build: (weights) => {
      controlnetModel({ config, weights }, { ...anyShape, conditionBatch: 1 });
    },
  };
}

export const miniStableDiffusion: MiniRepositories = {
  'runwayml/stable-diffusion-v1-5': [
    ...networkFolder('text_encoder', 'model', clipTextJson(clipText), miniClipText),
    ...networkFolder('unet', 'diffusion_pytorch_model', unetJson(unet), miniUnet),
    ...networkFolder('vae', 'diffusion_pytorch_model', vaeJson(vaeDecoder), miniVaeDecoder),
    ...miniSafetyChecker,
  ],
  ...Object.fromEntries(
    ['canny', 'depth', 'hed', 'mlsd', 'normal', 'openpose', 'scribble', 'seg'].map((structure) => [
      `lllyasviel/sd-controlnet-${structure}`,
      networkFolder('', 'diffusion_pytorch_model', controlnetJson(controlnet), miniControlnet(controlnet)),
    ]),
  ),
};

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
