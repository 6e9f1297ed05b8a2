/** Small motion modules of AnimateDiff, and small personalised checkpoints to put them into. */
import { type MotionVersion, motionUnetModel, motionVersions } from '../networks/motion-unet.ts';
import { unetModel } from '../networks/unet.ts';
import { mirrored, type UnetConfig, type UnetLevel } from '../networks/unet-config.ts';
import type { VaeDecoderConfig } from '../networks/vae-config.ts';
import { vaeDecoderModel } from '../networks/vae-decoder.ts';
import { type MiniNetwork, type MiniRepositories, weightsFile } from './mini-file.ts';
import { anyShape, miniUnet } from './mini-stable-diffusion.ts';
import { originalName } from './original-layout.ts';
import { inventWeights } from './random-weights.ts';

/**
 * As the base's, whose options are read for it, but with half the layers, fewer channels, and without attention among pixels
 * at the two largest sizes: there are sixteen pictures to be made.
 */
const levels: readonly UnetLevel[] = [
  { channels: 8, heads: 1, depth: null },
  { channels: 8, heads: 1, depth: null },
  { channels: 16, heads: 2, depth: 1 },
  { channels: 16, heads: 2, depth: null },
];
const layers = 1;
const unet: UnetConfig = { ...miniUnet.config, ...mirrored(levels, layers) };
const vaeDecoder: VaeDecoderConfig = {
  pictureChannels: 3,
  latentChannels: 4,
  levels: [16, 16, 8, 8],
  layers: 1,
  norm: { groups: 8, epsilon: 1e-6 },
};

const personalisedUnet: MiniNetwork = {
  config: unet,
  rename: originalName('unet', layers),
  build: (weights) => {
    unetModel({ config: unet, weights }, anyShape);
  },
};

const personalisedVae: MiniNetwork = {
  config: vaeDecoder,
  rename: originalName('vae'),
  build: (weights) => {
    vaeDecoderModel({ config: vaeDecoder, weights }, anyShape);
  },
};

function motionModules(version: MotionVersion): MiniNetwork {
  const second = version === 'v15_v2';
  const config = { jointNorm: !second, middle: second, positions: second ? 32 : 24 };
  return {
    config: { unet, ...config },
    build: (weights) => {
      motionUnetModel(
        { config: unet, weights: inventWeights().weights },
        { config, weights },
        { ...anyShape, frames: 2 },
      );
    },
    // Sines and cosines in the published files.
    spread: (name) => (name.endsWith('.pe') ? { centre: 0, deviation: Math.SQRT1_2 } : undefined),
  };
}

/** By their versions on Civitai. */
const checkpoints = {
  78775: 'toonyou_beta3.safetensors',
  72396: 'lyriel_v16.safetensors',
  71009: 'rcnzCartoon3d_v10.safetensors',
  79068: 'majicmixRealistic_v5Preview.safetensors',
  29460: 'realisticVisionV40_v20Novae.safetensors',
};

export const miniAnimateDiff: MiniRepositories = {
  'guoyww/animatediff': motionVersions.map((version) => weightsFile(`mm_sd_${version}.ckpt`, [motionModules(version)])),
  ...Object.fromEntries(
    Object.entries(checkpoints).map(([version, file]) => [
      `civitai/${version}`,
      [weightsFile(file, [personalisedUnet, personalisedVae])],
    ]),
  ),
};
