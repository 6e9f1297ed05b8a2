/** A small identity encoder of PhotoMaker and a small LoRA for the mini UNet, in one file as published. */
import { type PhotomakerIdConfig, photomakerIdModel } from '../networks/photomaker-id.ts';
import { unetModel } from '../networks/unet.ts';
import { type MiniNetwork, type MiniRepositories, weightsFile } from './mini-file.ts';
import { anyShape } from './mini-stable-diffusion.ts';
import { miniXlContext, miniXlUnet } from './mini-stable-diffusion-xl.ts';
import { inventWeights } from './random-weights.ts';

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
const rank = 4;

const identityEncoder: MiniNetwork = {
  config: identity,
  rename: (name) => `id_encoder.${name}`,
  build: (weights) => {
    photomakerIdModel({ config: identity, weights }, { photos: 1, textLength: 77 });
  },
};

/** The projections of the attentions, which are the layers that the published LoRA is for. */
const projection = /^(.+\.attn[12])\.to_(q|k|v|out)(?:\.0)?\.weight$/;

const lora: MiniNetwork = {
  config: { unet: miniXlUnet.config, rank },
  rename: (name) => `lora_weights.unet.${name}`,
  build: (weights) => {
    const unet = inventWeights();
    unetModel({ config: miniXlUnet.config, weights: unet.weights }, anyShape);
    for (const [name, { shape }] of unet.tensors('')) {
      const [, attention, layer] = projection.exec(name) ?? [];
      if (!attention) continue;
      const [wide, narrow] = shape as [number, number];
      weights.tensor(`${attention}.processor.to_${layer}_lora.down.weight`, [rank, narrow]);
      weights.tensor(`${attention}.processor.to_${layer}_lora.up.weight`, [wide, rank]);
    }
  },
};

export const miniPhotomaker: MiniRepositories = {
  'TencentARC/PhotoMaker': [weightsFile('photomaker-v1.bin', [identityEncoder, lora])],
};
