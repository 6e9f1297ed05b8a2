/**
 * The blocks that UNet, ControlNet and VAE consist of, after huggingface/diffusers v0.24.0: `models/resnet.py`
 * (`ResnetBlock2D`, `Downsample2D`, `Upsample2D`), `models/transformer_2d.py`, `models/attention.py`
 * (`BasicTransformerBlock`) and `models/unet_2d_blocks.py`.
 *
 * Not here: dropout, adaptive norms, time as scale and shift, chunked feed-forward; attention slicing and its like
 * give the same numbers.
 */
import { attention } from '../onnx/attention.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import { conv2d, gatedGelu, groupNorm, layerNorm, linear, pointwise } from '../onnx/layers.ts';
import { add, concat, fromTokens, reshape, resizeNearest, silu, toTokens, transpose } from '../onnx/ops.ts';
import type { Weights } from '../weights/scope.ts';
import type { Norm, UnetBlock, UnetConfig, UnetEncoderConfig } from './unet-config.ts';

/** What every block of a UNet sees beside the picture. */
export interface Conditioning {
  /** Embedded timestep, activated. [1 or B, 4*C] */
  time: Value;
  /** [B*T, contextWidth]; B may be fewer than the pictures, each text then serves as many pictures that follow each other. */
  context: Value;
  /** Texts in `context`. */
  contexts: number;
  /**
   * What is added to a cross-attention's result before its last projection.
   *
   * @param layer the attention's own weights, for their path
   */
  besideContext?: (query: Value, heads: number, layer: Weights) => Value;
  /** What becomes of the result of a layer. */
  afterLayer?: (x: Value, block: Weights, layer: number) => Value;
}

export interface Encoded {
  /** The input of each level's layers, in the order made. */
  skips: Value[];
  middle: Value;
}

/** Everything from the first convolution's result to the middle. */
export function encoder(g: Graph, w: Weights, config: UnetEncoderConfig, x: Value, condition: Conditioning): Encoded {
  const skips = [x];
  let hidden = x;
  config.down.forEach((level, index) => {
    const block = w.at(`down_blocks.${index}`);
    level.depths.forEach((_, layer) => {
      hidden = resnet(g, block.at(`resnets.${layer}`), hidden, level.channels, config.norm, condition.time);
      hidden = attentionLayer(g, block, config, level, layer, hidden, condition);
      skips.push(hidden);
    });
    if (index < config.down.length - 1) {
      hidden = conv2d(g, block.at('downsamplers.0.conv'), hidden, level.channels, { kernel: 3, stride: 2, padding: 1 });
      skips.push(hidden);
    }
  });
  return { skips, middle: middle(g, w.at('mid_block'), config, hidden, condition) };
}

function middle(g: Graph, w: Weights, config: UnetEncoderConfig, x: Value, condition: Conditioning): Value {
  const level = config.middle;
  return level.depths.reduce<Value>(
    (hidden, _, layer) => {
      const mixed = attentionLayer(g, w, config, level, layer, hidden, condition);
      return resnet(g, w.at(`resnets.${layer + 1}`), mixed, level.channels, config.norm, condition.time);
    },
    resnet(g, w.at('resnets.0'), x, level.channels, config.norm, condition.time),
  );
}

/** The levels in reverse; each layer takes the youngest remaining skip. Without the last normalisation. */
export function decoder(
  g: Graph,
  w: Weights,
  config: UnetConfig,
  { skips, middle: x }: Encoded,
  condition: Conditioning,
): Value {
  const remaining = [...skips];
  let hidden = x;
  config.up.forEach((level, index) => {
    const block = w.at(`up_blocks.${index}`);
    level.depths.forEach((_, layer) => {
      const joined = concat(g, [hidden, remaining.pop()!], 1);
      hidden = resnet(g, block.at(`resnets.${layer}`), joined, level.channels, config.norm, condition.time);
      hidden = attentionLayer(g, block, config, level, layer, hidden, condition);
    });
    if (index < config.up.length - 1) {
      // Sized to the next skip, because going down rounds odd sizes up.
      const [, , height, width] = remaining.at(-1)!.dims as [number, number, number, number];
      hidden = upsample(g, block.at('upsamplers.0.conv'), hidden, height, width);
    }
  });
  return hidden;
}

/** [B, C, H, W] -> [B, C, height, width] */
export function upsample(g: Graph, w: Weights, x: Value, height: number, width: number): Value {
  return conv2d(g, w, resizeNearest(g, x, height, width), x.dims[1]!, { kernel: 3, padding: 1 });
}

/** [B, C, H, W] -> [B, channels, H, W] */
export function resnet(g: Graph, w: Weights, x: Value, channels: number, norm: Norm, time?: Value): Value {
  const normed = (name: string, value: Value): Value => normalize(g, w.at(name), value, norm);
  let hidden = conv2d(g, w.at('conv1'), silu(g, normed('norm1', x)), channels, { kernel: 3, padding: 1 });
  if (time) {
    const shift = linear(g, w.at('time_emb_proj'), time, channels);
    hidden = add(g, hidden, reshape(g, shift, [time.dims[0]!, channels, 1, 1]));
  }
  hidden = conv2d(g, w.at('conv2'), silu(g, normed('norm2', hidden)), channels, { kernel: 3, padding: 1 });
  const shortcut = x.dims[1] === channels ? x : conv2d(g, w.at('conv_shortcut'), x, channels, { kernel: 1 });
  return add(g, shortcut, hidden);
}

/** [B, C, H, W] -> [B, C, H, W] */
export function normalize(g: Graph, w: Weights, x: Value, { groups, epsilon, frames = 1 }: Norm): Value {
  if (frames === 1) return groupNorm(g, w, x, groups, epsilon);
  const [pictures, channels, height, width] = x.dims as [number, number, number, number];
  const apart = reshape(g, x, [pictures / frames, frames, channels, height * width]);
  const joint = transpose(g, apart, [0, 2, 1, 3]); // [B, F, C, H*W] -> [B, C, F, H*W]
  const normed = groupNorm(g, w, joint, groups, epsilon);
  return reshape(g, transpose(g, normed, [0, 2, 1, 3]), x.dims);
}

/** What follows a resnet. [B, C, H, W] -> [B, C, H, W] */
function attentionLayer(
  g: Graph,
  block: Weights,
  config: UnetEncoderConfig,
  { heads, depths }: UnetBlock,
  layer: number,
  x: Value,
  condition: Conditioning,
): Value {
  const depth = depths[layer]!;
  const mixed =
    depth === null ? x : transformer(g, block.at(`attentions.${layer}`), config, x, heads, depth, condition);
  return condition.afterLayer?.(mixed, block, layer) ?? mixed;
}

/** [B, C, H, W] -> [B, C, H, W] */
function transformer(
  g: Graph,
  w: Weights,
  config: UnetEncoderConfig,
  x: Value,
  heads: number,
  depth: number,
  condition: Conditioning,
): Value {
  const [batch, channels] = x.dims as [number, number];
  const project = config.linearProjection ? linear : pointwise;
  const normed = groupNorm(g, w.at('norm'), x, config.norm.groups, 1e-6);
  let tokens = project(g, w.at('proj_in'), toTokens(g, normed), channels);
  for (let index = 0; index < depth; index++) {
    tokens = transformerBlock(g, w.at(`transformer_blocks.${index}`), tokens, batch, heads, condition);
  }
  return add(g, fromTokens(g, project(g, w.at('proj_out'), tokens, channels), x), x);
}

/** [B*N, C] -> [B*N, C] */
function transformerBlock(
  g: Graph,
  w: Weights,
  x: Value,
  batch: number,
  heads: number,
  { context, contexts, besideContext }: Conditioning,
): Value {
  const width = x.dims[1]!;
  const normed = (name: string, value: Value): Value => layerNorm(g, w.at(name), value, 1e-5);
  const own = normed('norm1', x);
  const self = selfAttention(g, w.at('attn1'), own, { batch, heads });
  const first = add(g, self, x);
  const cross = w.at('attn2');
  const query = linear(g, cross.at('to_q'), normed('norm2', first), width, { bias: false });
  const key = linear(g, cross.at('to_k'), context, width, { bias: false });
  const value = linear(g, cross.at('to_v'), context, width, { bias: false });
  let mixed = attention(g, query, key, value, { batch: contexts, heads });
  if (besideContext) mixed = add(g, mixed, besideContext(query, heads, cross));
  const second = add(g, linear(g, cross.at('to_out.0'), mixed, width), first);
  return add(g, feedForward(g, w.at('ff'), normed('norm3', second)), second);
}

/** Attention of tokens among themselves. [B*N, C] -> [B*N, C] */
export function selfAttention(
  g: Graph,
  w: Weights,
  x: Value,
  { batch, heads }: { batch: number; heads: number },
): Value {
  const width = x.dims[1]!;
  const [query, key, value] = ['to_q', 'to_k', 'to_v'].map((name) => linear(g, w.at(name), x, width, { bias: false }));
  return linear(g, w.at('to_out.0'), attention(g, query!, key!, value!, { batch, heads }), width);
}

/** [N, C] -> [N, C] */
export function feedForward(g: Graph, w: Weights, x: Value): Value {
  const width = x.dims[1]!;
  return linear(g, w.at('net.2'), gatedGelu(g, w.at('net.0.proj'), x, 4 * width), width);
}
