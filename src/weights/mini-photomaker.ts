/** A small identity encoder of PhotoMaker and a small LoRA for the mini UNet, in one file as published. */
import { type PhotomakerIdConfig, photomakerIdModel } from '../networks/photomaker-id.ts';
import { type MiniNetwork, type MiniRepositories, weightsFile } from './mini-file.ts';
import { processorLora } from './mini-lora.ts';
import { miniXlContext, miniXlUnet } from './mini-stable-diffusion-xl.ts';

const identity: PhotomakerIdConfig = {
  vision: {
    width: 64,
    mlpWidth: 128,
    layers: 2,
    // As many as the published file is read with, which comes without a configuration.
    heads: 16,
    activation: 'quick_gelu',
    epsilon: 1e-5,
    channels: 3,
    grid: 16,
    patch: 14,
  },
  projectionWidths: [miniXlContext.first, miniXlContext.second],
};

const identityEncoder: MiniNetwork = {
  config: identity,
  rename: (name) => `id_encoder.${name}`,
  build: (weights) => {
    photomakerIdModel({ config: identity, weights }, { photos: 1, textLength: 77 });
  },
};

const lora: MiniNetwork = { ...processorLora(miniXlUnet), rename: (name) => `lora_weights.unet.${name}` };

export const miniPhotomaker: MiniRepositories = {
  'TencentARC/PhotoMaker': [weightsFile('photomaker-v1.bin', [identityEncoder, lora])],
};
