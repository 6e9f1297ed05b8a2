/**
 * The decoder of Stable Diffusion's autoencoder (arXiv 2112.10752), after huggingface/diffusers v0.24.0
 * `models/autoencoder_kl.py` and `models/vae.py`.
 *
 * Not here: tiles (`pipeline/tiled-decode.ts`).
 */
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { conv2d, groupNorm } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { silu } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { openNetworkFiles, readConfig } from '../weights/network-files.ts';
import { type NetworkWeights, openWeights, type Weights } from '../weights/scope.ts';
import { resnet, upsample } from './unet-blocks.ts';
import { vaeMiddle } from './vae-blocks.ts';
import { type VaeDecoderConfig, vaeDecoderConfig } from './vae-config.ts';

export interface VaeDecoderShape {
  batch: number;
  /** Of the latents: an eighth of the picture's. */
  height: number;
  width: number;
}

export interface VaeDecoder {
  config: VaeDecoderConfig;
  weights: NetworkWeights;
}

/**
 * `latents` (float32 [B, 4, H, W], already divided by the scaling factor) → `sample` (float32 [B, 3, 8H, 8W]).
 *
 * @param folder holds `config.json` and `diffusion_pytorch_model.safetensors`: `<repository>/vae`
 */
export function vaeDecoderNetwork(folder: string, shape: VaeDecoderShape): Network {
  return {
    key: `vae-decoder, batch ${shape.batch}, ${shape.width}×${shape.height}, of ${folder}`,
    build: async () => vaeDecoderModel(await openVaeDecoder(folder), shape),
  };
}

/**
 * The same with the weights of a checkpoint in one file.
 *
 * @param config the autoencoder's `config.json`; its sizes come from the weights
 */
export function checkpointDecoderNetwork(config: string, checkpoint: string, shape: VaeDecoderShape): Network {
  return {
    key: `vae-decoder, batch ${shape.batch}, ${shape.width}×${shape.height}, of ${checkpoint}`,
    async build() {
      const weights = await openWeights([checkpoint], 'vae');
      return vaeDecoderModel({ config: vaeDecoderConfig(await readConfig(config), weights), weights }, shape);
    },
  };
}

export async function openVaeDecoder(folder: string): Promise<VaeDecoder> {
  const { config, weights } = await openNetworkFiles(folder, 'diffusion_pytorch_model');
  return { config: vaeDecoderConfig(config, weights), weights };
}

export function vaeDecoderModel({ config, weights }: VaeDecoder, shape: VaeDecoderShape): OnnxModel {
  const g = createGraph('vae-decoder');
  const latents = g.input('latents', 'float32', [shape.batch, config.latentChannels, shape.height, shape.width]);
  g.output('sample', decode(g, weights, config, latents));
  // Published files hold both halves.
  weights.finish((name) => name.startsWith('encoder.') || name.startsWith('quant_conv.'));
  return writeModel(g);
}

/** [B, 4, H, W] -> [B, 3, 8H, 8W] */
function decode(g: Graph, weights: Weights, config: VaeDecoderConfig, latents: Value): Value {
  const { pictureChannels, latentChannels, levels, layers, norm } = config;
  const w = weights.at('decoder');
  const mapped = conv2d(g, weights.at('post_quant_conv'), latents, latentChannels, { kernel: 1 });
  let x = conv2d(g, w.at('conv_in'), mapped, levels[0]!, { kernel: 3, padding: 1 });
  x = vaeMiddle(g, w.at('mid_block'), x, norm);
  levels.forEach((channels, index) => {
    const block = w.at(`up_blocks.${index}`);
    for (let layer = 0; layer < layers; layer++) x = resnet(g, block.at(`resnets.${layer}`), x, channels, norm);
    if (index < levels.length - 1) {
      x = upsample(g, block.at('upsamplers.0.conv'), x, 2 * x.dims[2]!, 2 * x.dims[3]!);
    }
  });
  const normed = groupNorm(g, w.at('conv_norm_out'), x, norm.groups, norm.epsilon);
  return conv2d(g, w.at('conv_out'), silu(g, normed), pictureChannels, { kernel: 3, padding: 1 });
}
