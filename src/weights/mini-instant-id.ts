/**
 * Small networks of InstantID: what makes tokens of a face, image attention for them, and IdentityNet; the ControlNets
 * and the LoRA that stand beside it.
 */
import { type ResamplerConfig, resamplerModel } from '../networks/resampler.ts';
import { unetModel } from '../networks/unet.ts';
import { type MiniNetwork, type MiniRepositories, weightsFile } from './mini-file.ts';
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
    const shape = { batch: 1, height: 8, width: 8, textLength: 77 };
    unetModel(unet, shape, { imageTokens: { weights, length: tokens } });
  },
};

const rank = 4;

/** On every layer inside the UNet's blocks, as the published one. */
const lcmLora: MiniNetwork = {
  config: { unet: miniXlUnet.config, rank },
  build(weights) {
    const layers = inventWeights();
    miniXlUnet.build(layers.weights);
    for (const [name, { shape }] of layers.tensors('')) {
      if (!name.includes('_block') || !name.endsWith('.weight') || shape.length < 2) continue;
      const addition = weights.at(`lora_unet_${name.slice(0, -'.weight'.length).replaceAll('.', '_')}`);
      addition.tensor('lora_down.weight', [rank, ...shape.slice(1)]);
      addition.tensor('lora_up.weight', [shape[0]!, rank, ...shape.slice(2).map(() => 1)]);
      addition.tensor('alpha', []);
    }
  },
  spread: (name) => (name.endsWith('.alpha') ? { centre: 1, deviation: 0 } : undefined),
};

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
