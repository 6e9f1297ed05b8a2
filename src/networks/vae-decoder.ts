/**
 * The decoder of Stable Diffusion's autoencoder (arXiv 2112.10752), after huggingface/diffusers v0.24.0
 * `models/autoencoder_kl.py` and `models/vae.py`.
 *
 * Not here: the encoder, tiling.
 */
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { conv2d, groupNorm, linear } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { add, attention, fromTokens, silu, toTokens } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { openNetworkFiles } from '../weights/network-files.ts';
import type { NetworkWeights, Weights } from '../weights/scope.ts';
import { type Norm, type VaeDecoderConfig, vaeDecoderConfig } from './config.ts';
import { resnet, upsample } from './unet-blocks.ts';

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
 * `sample` (float32 [B, 4, H, W], latents already divided by the scaling factor) → `sample` (float32 [B, 3, 8H, 8W]).
 *
 * @param folder holds `config.json` and `diffusion_pytorch_model.safetensors`: `<repository>/vae`
 */
export function vaeDecoderNetwork(folder: string, shape: VaeDecoderShape): Network {
  return {
    key: `vae-decoder, batch ${shape.batch}, ${shape.width}×${shape.height}, of ${folder}`,
    build: async () => vaeDecoderModel(await openVaeDecoder(folder), shape),
  };
}

export async function openVaeDecoder(folder: string): Promise<VaeDecoder> {
  const { config, weights } = await openNetworkFiles(folder, 'diffusion_pytorch_model');
  return { config: vaeDecoderConfig(config, weights), weights };
}

export function vaeDecoderModel({ config, weights }: VaeDecoder, shape: VaeDecoderShape): OnnxModel {
  const g = createGraph('vae-decoder');
  const sample = g.input('sample', 'float32', [shape.batch, config.latentChannels, shape.height, shape.width]);
  g.output('sample', decode(g, weights, config, sample));
  weights.finish((name) => name.startsWith('encoder.') || name.startsWith('quant_conv.'));
  return writeModel(g);
}

/** [B, 4, H, W] -> [B, 3, 8H, 8W] */
function decode(g: Graph, weights: Weights, config: VaeDecoderConfig, sample: Value): Value {
  const { latentChannels, levels, layers, norm } = config;
  const w = weights.at('decoder');
  const latents = conv2d(g, weights.at('post_quant_conv'), sample, latentChannels, { kernel: 1 });
  let x = conv2d(g, w.at('conv_in'), latents, levels[0]!, { kernel: 3, padding: 1 });
  x = resnet(g, w.at('mid_block.resnets.0'), x, levels[0]!, norm);
  x = selfAttention(g, w.at('mid_block.attentions.0'), x, norm);
  x = resnet(g, w.at('mid_block.resnets.1'), x, levels[0]!, norm);
  levels.forEach((channels, index) => {
    const block = w.at(`up_blocks.${index}`);
    for (let layer = 0; layer < layers; layer++) x = resnet(g, block.at(`resnets.${layer}`), x, channels, norm);
    if (index < levels.length - 1) {
      x = upsample(g, block.at('upsamplers.0.conv'), x, 2 * x.dims[2]!, 2 * x.dims[3]!);
    }
  });
  const normed = groupNorm(g, w.at('conv_norm_out'), x, norm.groups, norm.epsilon);
  return conv2d(g, w.at('conv_out'), silu(g, normed), 3, { kernel: 3, padding: 1 });
}

/** One head over all pixels. [B, C, H, W] -> [B, C, H, W] */
function selfAttention(g: Graph, w: Weights, x: Value, norm: Norm): Value {
  const [batch, channels] = x.dims as [number, number];
  // The published SD 1.5 file has the names from before diffusers 0.17.
  const [query, key, value, out] = w.has('query.weight')
    ? ['query', 'key', 'value', 'proj_attn']
    : ['to_q', 'to_k', 'to_v', 'to_out.0'];
  const tokens = toTokens(g, groupNorm(g, w.at('group_norm'), x, norm.groups, norm.epsilon));
  const mixed = attention(
    g,
    linear(g, w.at(query!), tokens, channels),
    linear(g, w.at(key!), tokens, channels),
    linear(g, w.at(value!), tokens, channels),
    { batch, heads: 1 },
  );
  return add(g, fromTokens(g, linear(g, w.at(out!), mixed, channels), x), x);
}
