/** Small networks of Stable Diffusion 1.5 and its ControlNets. */
import type { ClipTextConfig } from '../networks/clip-config.ts';
import { clipTextModel } from '../networks/clip-text.ts';
import { controlnetModel } from '../networks/controlnet.ts';
import { unetModel } from '../networks/unet.ts';
import { type ControlnetConfig, mirrored, type UnetConfig, type UnetLevel } from '../networks/unet-config.ts';
import type { VaeDecoderConfig } from '../networks/vae-config.ts';
import { vaeDecoderModel } from '../networks/vae-decoder.ts';
import { clipTextJson, controlnetJson, unetJson, vaeJson } from './mini-config-json.ts';
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
    ...networkFolder('vae', 'diffusion_pytorch_model', vaeJson(vaeDecoder, 0.18215), miniVaeDecoder),
    ...miniSafetyChecker,
  ],
  ...Object.fromEntries(
    ['canny', 'depth', 'hed', 'mlsd', 'normal', 'openpose', 'scribble', 'seg'].map((structure) => [
      `lllyasviel/sd-controlnet-${structure}`,
      networkFolder('', 'diffusion_pytorch_model', controlnetJson(controlnet), miniControlnet(controlnet)),
    ]),
  ),
};
