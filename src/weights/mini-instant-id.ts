/**
 * Small networks of InstantID: what makes tokens of a face, image attention for them, and IdentityNet; the ControlNets
 * and the LoRA that stand beside it.
 */
import { type ResamplerConfig, resamplerModel } from '../networks/resampler.ts';
import { unetModel } from '../networks/unet.ts';
import { type MiniNetwork, type MiniRepositories, weightsFile } from './mini-file.ts';
import { kohyaNames, layersOf, type MiniLayer, miniLora } from './mini-lora.ts';
import { anyShape } from './mini-stable-diffusion.ts';
import { miniXlContext, miniXlControlnet, miniXlUnet } from './mini-stable-diffusion-xl.ts';
import { inventWeights } from './random-weights.ts';

const tokens = 16;

const resampler: ResamplerConfig = {
  inWidth: 512,
  width: 32,
  // A head has 64, and no file says how many there are.
  attentionWidth: 64,
  heads: 1,
  mlpWidth: 64,
  layers: 2,
  queries: tokens,
  outWidth: miniXlContext.width,
};

const faceProjection: MiniNetwork = {
  config: resampler,
  rename: (name) => `image_proj.${name}`,
  build: (weights) => {
    resamplerModel({ config: resampler, weights }, { batch: 1, length: 1 });
  },
  // Each query another one: of equal ones all tokens would be the same.
  spread: (name) => (name === 'latents' ? { centre: 0, deviation: 1 } : undefined),
};

const imageAttention: MiniNetwork = {
  config: miniXlUnet.config,
  rename: (name) => `ip_adapter.${name}`,
  build: (weights) => {
    const unet = { config: miniXlUnet.config, weights: inventWeights().weights };
    unetModel(unet, anyShape, { imageTokens: { weights, length: tokens } });
  },
};

/** On every layer inside the UNet's blocks, as the published one. */
const lcmLora = miniLora({
  layout: 'kohya, names of diffusers',
  networks: [miniXlUnet],
  layers: () =>
    layersOf(miniXlUnet, /_block.*\.weight$/).flatMap(([name, shape]): MiniLayer[] =>
      shape.length < 2 ? [] : [[`lora_unet_${name}`, shape]],
    ),
  names: kohyaNames,
  alpha: 1,
});

export const miniInstantId: MiniRepositories = {
  'InstantX/InstantID': [
    weightsFile('ip-adapter.bin', [faceProjection, imageAttention]),
    ...miniXlControlnet('full', 'ControlNetModel'),
  ],
  'thibaud/controlnet-openpose-sdxl-1.0': miniXlControlnet('full'),
  'diffusers/controlnet-canny-sdxl-1.0': miniXlControlnet('full'),
  'diffusers/controlnet-depth-sdxl-1.0-small': miniXlControlnet('small'),
  'latent-consistency/lcm-lora-sdxl': [weightsFile('pytorch_lora_weights.safetensors', [lcmLora])],
};
