/**
 * Small networks of Stable Diffusion XL: a base for every repository that a model may draw with. Pictures of these models
 * are four to six times as large as those of SD 1.5, so that there are fewer channels, and no attention at the two largest
 * sizes.
 */
import type { ClipTextConfig } from '../networks/clip-config.ts';
import { clipTextModel } from '../networks/clip-text.ts';
import { controlnetModel } from '../networks/controlnet.ts';
import { unetModel } from '../networks/unet.ts';
import { type ControlnetConfig, mirrored, type UnetConfig, type UnetLevel } from '../networks/unet-config.ts';
import type { VaeDecoderConfig, VaeEncoderConfig } from '../networks/vae-config.ts';
import { vaeDecoderModel } from '../networks/vae-decoder.ts';
import { vaeEncoderModel } from '../networks/vae-encoder.ts';
import { clipTextJson, controlnetJson, unetJson, vaeJson } from './mini-config-json.ts';
import { jsonFile, type MiniFile, type MiniNetwork, type MiniRepositories, networkFolder } from './mini-file.ts';
import { anyShape } from './mini-stable-diffusion.ts';
import { stableDiffusionXlSchedule } from './single-file.ts';

/** Width of both text encoders' states side by side, and of the pooled state. */
export const miniXlContext = { first: 32, second: 48, width: 80, pooled: 40 } as const;

const textEncoder: ClipTextConfig = {
  vocabulary: 49408,
  positions: 77,
  width: miniXlContext.first,
  mlpWidth: 64,
  layers: 2,
  heads: 2,
  activation: 'quick_gelu',
  epsilon: 1e-5,
  pooledToken: 'largest',
};
const textEncoder2: ClipTextConfig = {
  ...textEncoder,
  width: miniXlContext.second,
  mlpWidth: 96,
  heads: 3,
  activation: 'gelu',
  projectionWidth: miniXlContext.pooled,
};

const levels: readonly UnetLevel[] = [
  { channels: 8, heads: 1, depth: null },
  { channels: 16, heads: 1, depth: null },
  { channels: 32, heads: 2, depth: 1 },
];
const unet: UnetConfig = {
  inChannels: 4,
  outChannels: 4,
  ...mirrored(levels, 1),
  contextWidth: miniXlContext.width,
  linearProjection: true,
  norm: { groups: 4, epsilon: 1e-5 },
  added: { pooledWidth: miniXlContext.pooled, timeIds: 6, timeWidth: 16 },
};

const halves = { pictureChannels: 3, latentChannels: 4, norm: { groups: 4, epsilon: 1e-6 } };
const vaeDecoder: VaeDecoderConfig = { ...halves, levels: [16, 16, 8, 4], layers: 2 };
const vaeEncoder: VaeEncoderConfig = { ...halves, levels: [4, 8, 16, 16], layers: 1 };

export const miniXlUnet: MiniNetwork & { config: UnetConfig } = {
  config: unet,
  build: (weights) => {
    unetModel({ config: unet, weights }, anyShape);
  },
};

/** A ControlNet of the same sizes: with the attention of the UNet's, or as the small published ones without any. */
export function miniXlControlnet(kind: 'full' | 'small', folder = ''): MiniFile[] {
  const { down, middle, ...rest } = unet;
  const config: ControlnetConfig = {
    ...rest,
    down: kind === 'full' ? down : down.map((block) => ({ ...block, depths: block.depths.map(() => null) })),
    middle: kind === 'full' ? middle : { ...middle, depths: [0] },
    conditionChannels: [2, 2, 4, 8],
    conditionOrder: 'rgb',
  };
  return networkFolder(folder, 'diffusion_pytorch_model', controlnetJson(config), {
    config,
    build: (weights) => {
      controlnetModel({ config, weights }, { ...anyShape, conditionBatch: 1 });
    },
  });
}

function miniText(config: ClipTextConfig): MiniNetwork {
  return {
    config,
    build: (weights) => {
      const projected = config.projectionWidth === undefined ? [] : (['text_embeds'] as const);
      clipTextModel({ config, weights }, { batch: 1, length: 77 }, ['last_hidden_state', ...projected]);
    },
  };
}

export const miniXlTextEncoders = { first: miniText(textEncoder), second: miniText(textEncoder2) };

const miniVae: MiniNetwork = {
  config: [vaeEncoder, vaeDecoder],
  build: (weights) => {
    vaeEncoderModel({ config: vaeEncoder, weights }, { batch: 1, height: 64, width: 64 });
    vaeDecoderModel({ config: vaeDecoder, weights }, anyShape);
  },
};

const base: readonly MiniFile[] = [
  jsonFile('scheduler/scheduler_config.json', stableDiffusionXlSchedule),
  ...networkFolder('text_encoder', 'model', clipTextJson(textEncoder), miniXlTextEncoders.first),
  ...networkFolder('text_encoder_2', 'model', clipTextJson(textEncoder2), miniXlTextEncoders.second),
  ...networkFolder('unet', 'diffusion_pytorch_model', unetJson(unet), miniXlUnet),
  ...networkFolder('vae', 'diffusion_pytorch_model', vaeJson(vaeDecoder, 0.13025), miniVae),
];

/** Each has weights of its own, made up from its name. */
const repositories = [
  'stabilityai/stable-diffusion-xl-base-1.0',
  'SG161222/RealVisXL_V3.0',
  'SG161222/RealVisXL_V3.0_Turbo',
  'SG161222/RealVisXL_V4.0_Lightning',
  'frankjoshua/albedobaseXL_v13',
  ...[
    'afrodite-xl-v2',
    'albedobase-xl-20',
    'animagine-xl-30',
    'anime-art-diffusion-xl',
    'anime-illust-diffusion-xl',
    'dreamshaper-xl',
    'dynavision-xl-v0610',
    'guofeng4-xl',
    'juggernaut-xl-v8',
    'nightvision-xl-0791',
    'omnigen-xl',
    'pony-diffusion-v6-xl',
    'protovision-xl-high-fidel',
  ].map((name) => `stablediffusionapi/${name}`),
];

export const miniStableDiffusionXl: MiniRepositories = Object.fromEntries(repositories.map((name) => [name, base]));
