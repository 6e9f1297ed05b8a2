/**
 * The blocks that UNet, ControlNet and VAE consist of, after huggingface/diffusers v0.24.0: `models/resnet.py`
 * (`ResnetBlock2D`, `Downsample2D`, `Upsample2D`), `models/transformer_2d.py`, `models/attention.py`
 * (`BasicTransformerBlock`) and `models/unet_2d_blocks.py`.
 *
 * Not here: dropout, adaptive norms, time as scale and shift, chunked feed-forward; attention slicing and its like
 * give the same numbers.
 */
import { float32 } from '../math/tensor.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import { conv2d, gatedGelu, groupNorm, layerNorm, linear, pointwise } from '../onnx/layers.ts';
import {
  add,
  attention,
  concat,
  cosine,
  fromTokens,
  multiply,
  reshape,
  resizeNearest,
  silu,
  sine,
  toTokens,
} from '../onnx/ops.ts';
import type { Weights } from '../weights/scope.ts';
import type { Norm, UnetEncoderConfig } from './config.ts';

/** What every block of a UNet sees beside the picture. */
export interface Conditioning {
  /** Embedded timestep, activated. [1, 4*C] */
  time: Value;
  /** [B*T, contextWidth] */
  context: Value;
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
  config.levels.forEach(({ channels, heads, depth }, index) => {
    const block = w.at(`down_blocks.${index}`);
    for (let layer = 0; layer < config.layers; layer++) {
      hidden = resnet(g, block.at(`resnets.${layer}`), hidden, channels, config.norm, condition.time);
      hidden = transformer(g, block.at(`attentions.${layer}`), config, hidden, heads, depth, condition.context);
      skips.push(hidden);
    }
    if (index < config.levels.length - 1) {
      hidden = conv2d(g, block.at('downsamplers.0.conv'), hidden, channels, { kernel: 3, stride: 2, padding: 1 });
      skips.push(hidden);
    }
  });
  return { skips, middle: middle(g, w.at('mid_block'), config, hidden, condition) };
}

function middle(g: Graph, w: Weights, config: UnetEncoderConfig, x: Value, condition: Conditioning): Value {
  const { channels, heads } = config.levels.at(-1)!;
  const first = resnet(g, w.at('resnets.0'), x, channels, config.norm, condition.time);
  const mixed = transformer(g, w.at('attentions.0'), config, first, heads, config.middleDepth, condition.context);
  return resnet(g, w.at('resnets.1'), mixed, channels, config.norm, condition.time);
}

/** The levels in reverse; each layer takes the youngest remaining skip. Without the last normalisation. */
export function decoder(
  g: Graph,
  w: Weights,
  config: UnetEncoderConfig,
  { skips, middle: x }: Encoded,
  condition: Conditioning,
): Value {
  const remaining = [...skips];
  let hidden = x;
  config.levels.toReversed().forEach(({ channels, heads, depth }, index) => {
    const block = w.at(`up_blocks.${index}`);
    for (let layer = 0; layer <= config.layers; layer++) {
      const joined = concat(g, [hidden, remaining.pop()!], 1);
      hidden = resnet(g, block.at(`resnets.${layer}`), joined, channels, config.norm, condition.time);
      hidden = transformer(g, block.at(`attentions.${layer}`), config, hidden, heads, depth, condition.context);
    }
    if (index < config.levels.length - 1) {
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
  const normed = (name: string, value: Value): Value => groupNorm(g, w.at(name), value, norm.groups, norm.epsilon);
  let hidden = conv2d(g, w.at('conv1'), silu(g, normed('norm1', x)), channels, { kernel: 3, padding: 1 });
  if (time) {
    const shift = linear(g, w.at('time_emb_proj'), time, channels);
    hidden = add(g, hidden, reshape(g, shift, [time.dims[0]!, channels, 1, 1]));
  }
  hidden = conv2d(g, w.at('conv2'), silu(g, normed('norm2', hidden)), channels, { kernel: 3, padding: 1 });
  const shortcut = x.dims[1] === channels ? x : conv2d(g, w.at('conv_shortcut'), x, channels, { kernel: 1 });
  return add(g, shortcut, hidden);
}

/** [B, C, H, W] -> [B, C, H, W]; nothing where the depth is 0 */
function transformer(
  g: Graph,
  w: Weights,
  config: UnetEncoderConfig,
  x: Value,
  heads: number,
  depth: number,
  context: Value,
): Value {
  if (depth === 0) return x;
  const [batch, channels] = x.dims as [number, number];
  const project = config.linearProjection ? linear : pointwise;
  const normed = groupNorm(g, w.at('norm'), x, config.norm.groups, 1e-6);
  let tokens = project(g, w.at('proj_in'), toTokens(g, normed), channels);
  for (let index = 0; index < depth; index++) {
    tokens = transformerBlock(g, w.at(`transformer_blocks.${index}`), tokens, context, batch, heads);
  }
  return add(g, fromTokens(g, project(g, w.at('proj_out'), tokens, channels), x), x);
}

/** [B*N, C] -> [B*N, C] */
function transformerBlock(g: Graph, w: Weights, x: Value, context: Value, batch: number, heads: number): Value {
  const width = x.dims[1]!;
  const normed = (name: string, value: Value): Value => layerNorm(g, w.at(name), value, 1e-5);
  const attend = (name: string, query: Value, source: Value): Value => {
    const layer = w.at(name);
    const mixed = attention(
      g,
      linear(g, layer.at('to_q'), query, width, { bias: false }),
      linear(g, layer.at('to_k'), source, width, { bias: false }),
      linear(g, layer.at('to_v'), source, width, { bias: false }),
      { batch, heads },
    );
    return linear(g, layer.at('to_out.0'), mixed, width);
  };
  const own = normed('norm1', x);
  const first = add(g, attend('attn1', own, own), x);
  const second = add(g, attend('attn2', normed('norm2', first), context), first);
  const wide = gatedGelu(g, w.at('ff.net.0.proj'), normed('norm3', second), 4 * width);
  return add(g, linear(g, w.at('ff.net.2'), wide, width), second);
}

/** `Timesteps` and `TimestepEmbedding` (`models/embeddings.py`), and the activation that every resnet begins with. */
export function timeEmbedding(g: Graph, w: Weights, config: UnetEncoderConfig, timestep: Value): Value {
  const channels = config.levels[0]!.channels;
  const angles = multiply(g, reshape(g, timestep, [1, 1]), g.constant(frequencies(channels / 2))); // [1, C/2]
  const waves = concat(g, [cosine(g, angles), sine(g, angles)], 1);
  const hidden = silu(g, linear(g, w.at('linear_1'), waves, 4 * channels));
  return silu(g, linear(g, w.at('linear_2'), hidden, 4 * channels));
}

/**
 * exp(-ln(10000) i / count), rounded to float32 after each operation as the reference computes it. At 320 channels 144
 * of 160 values are torch's own and the rest one unit in the last place away, which is its exp's doing.
 */
function frequencies(count: number) {
  const factor = Math.fround(-Math.log(10000));
  const values = Array.from({ length: count }, (_, index) =>
    Math.exp(Math.fround(Math.fround(factor * index) / count)),
  );
  return float32([1, count], Float32Array.from(values));
}
