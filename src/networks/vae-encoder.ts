/**
 * The encoder of Stable Diffusion's autoencoder (arXiv 2112.10752), after huggingface/diffusers v0.24.0
 * `models/autoencoder_kl.py` and `models/vae.py`.
 *
 * Not here: drawing from the moments (`pipeline/latents.ts`), tiles.
 */
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { conv2d, groupNorm } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { silu } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { openNetworkFiles } from '../weights/network-files.ts';
import type { NetworkWeights, Weights } from '../weights/scope.ts';
import { resnet } from './unet-blocks.ts';
import { vaeMiddle } from './vae-blocks.ts';
import { type VaeEncoderConfig, vaeEncoderConfig } from './vae-config.ts';

export interface VaeEncoderShape {
  batch: number;
  /** Of the picture: eight times the latents'. */
  height: number;
  width: number;
}

export interface VaeEncoder {
  config: VaeEncoderConfig;
  weights: NetworkWeights;
}

/**
 * `sample` (float32 [B, 3, 8H, 8W], from -1 to 1) → `moments` (float32 [B, 8, H, W]: the mean of the latents, then the
 * logarithm of their variance).
 *
 * @param folder holds `config.json` and `diffusion_pytorch_model.safetensors`: `<repository>/vae`
 */
export function vaeEncoderNetwork(folder: string, shape: VaeEncoderShape): Network {
  return {
    key: `vae-encoder, batch ${shape.batch}, ${shape.width}×${shape.height}, of ${folder}`,
    build: async () => vaeEncoderModel(await openVaeEncoder(folder), shape),
  };
}

export async function openVaeEncoder(folder: string): Promise<VaeEncoder> {
  const { config, weights } = await openNetworkFiles(folder, 'diffusion_pytorch_model');
  return { config: vaeEncoderConfig(config, weights), weights };
}

export function vaeEncoderModel({ config, weights }: VaeEncoder, shape: VaeEncoderShape): OnnxModel {
  const g = createGraph('vae-encoder');
  const sample = g.input('sample', 'float32', [shape.batch, config.pictureChannels, shape.height, shape.width]);
  g.output('moments', encode(g, weights, config, sample));
  // Published files hold both halves.
  weights.finish((name) => name.startsWith('decoder.') || name.startsWith('post_quant_conv.'));
  return writeModel(g);
}

/** [B, 3, 8H, 8W] -> [B, 8, H, W] */
function encode(g: Graph, weights: Weights, config: VaeEncoderConfig, sample: Value): Value {
  const { latentChannels, levels, layers, norm } = config;
  const w = weights.at('encoder');
  let x = conv2d(g, w.at('conv_in'), sample, levels[0]!, { kernel: 3, padding: 1 });
  levels.forEach((channels, index) => {
    const block = w.at(`down_blocks.${index}`);
    for (let layer = 0; layer < layers; layer++) x = resnet(g, block.at(`resnets.${layer}`), x, channels, norm);
    if (index < levels.length - 1) {
      // Unlike the UNet's, padded below and at the right only.
      const options = { kernel: 3, stride: 2, padding: [0, 0, 1, 1] as const };
      x = conv2d(g, block.at('downsamplers.0.conv'), x, channels, options);
    }
  });
  x = vaeMiddle(g, w.at('mid_block'), x, norm);
  const normed = groupNorm(g, w.at('conv_norm_out'), x, norm.groups, norm.epsilon);
  const moments = conv2d(g, w.at('conv_out'), silu(g, normed), 2 * latentChannels, { kernel: 3, padding: 1 });
  return conv2d(g, weights.at('quant_conv'), moments, 2 * latentChannels, { kernel: 1 });
}
