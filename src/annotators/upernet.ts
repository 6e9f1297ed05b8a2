/**
 * UPerNet over ConvNeXt, which labels every pixel (arXiv 1807.10221, 2201.03545), after huggingface/transformers v4.29.1
 * `models/upernet/modeling_upernet.py` and `models/convnext/modeling_convnext.py` (`ConvNextBackbone`).
 *
 * Not here: the auxiliary head, which served training alone, and enlarging the result (`label-map.ts`).
 */
import { float32 } from '../math/tensor.ts';
import { countOf } from '../networks/config-options.ts';
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { batchNorm, conv2d, isBatchCount, layerNorm, linear } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import {
  add,
  concat,
  dotProducts,
  fromTokens,
  gelu,
  multiply,
  relu,
  reshape,
  resizeLinear,
  toTokens,
} from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { type NetworkWeights, openWeights, type Weights } from '../weights/scope.ts';

export interface UpernetConfig {
  /** Of the backbone, from the largest picture to the smallest. */
  stages: readonly ConvNextStage[];
  /** Side of the squares that the picture is cut into at first. */
  patch: number;
  /** Channels of the head. */
  width: number;
  labels: number;
}

export interface ConvNextStage {
  channels: number;
  layers: number;
}

export interface Upernet {
  config: UpernetConfig;
  weights: NetworkWeights;
}

/** Of the picture, in multiples of 32. */
export interface UpernetShape {
  height: number;
  width: number;
}

/** `pixel_values` (float32 [1, 3, H, W]) → `logits` (float32 [1, labels, H/4, W/4]). */
export function upernetNetwork(path: string, shape: UpernetShape): Network {
  return {
    key: `upernet, ${shape.width}×${shape.height}, of ${path}`,
    build: async () => {
      const weights = await openWeights([path]);
      return upernetModel({ config: upernetConfig(weights), weights }, shape);
    },
  };
}

/** Sides of the grids of averages that see the whole picture: `pool_scales` of the published configuration. */
const grids = [1, 2, 3, 6];

/** The reference fixes it in code and passes over `layer_norm_eps` of the configuration. */
const epsilon = 1e-6;

export function upernetConfig(w: Weights): UpernetConfig {
  const stages = w.at('backbone.encoder.stages');
  const [, , patch] = w.shape('backbone.embeddings.patch_embeddings.weight') as [number, number, number];
  const [labels, width] = w.shape('decode_head.classifier.weight') as [number, number];
  return {
    stages: Array.from({ length: countOf((index) => stages.has(`${index}.layers.0.dwconv.bias`)) }, (_, index) => ({
      channels: stages.shape(`${index}.layers.0.dwconv.bias`)[0]!,
      layers: countOf((layer) => stages.has(`${index}.layers.${layer}.dwconv.bias`)),
    })),
    patch,
    width,
    labels,
  };
}

export function upernetModel({ config, weights }: Upernet, { height, width }: UpernetShape): OnnxModel {
  const g = createGraph('upernet');
  const pixels = g.input('pixel_values', 'float32', [1, 3, height, width]);
  const features = convNext(g, weights.at('backbone'), config, pixels);
  g.output('logits', upernetHead(g, weights.at('decode_head'), config, features));
  weights.finish((name) => isBatchCount(name) || name.startsWith('auxiliary_head.'));
  return writeModel(g);
}

/** The normalised picture after each stage: [B, channels, H/4, W/4], half as large at each further one. */
function convNext(g: Graph, w: Weights, { stages, patch }: UpernetConfig, pixels: Value): Value[] {
  const embeddings = w.at('embeddings');
  const patches = conv2d(g, embeddings.at('patch_embeddings'), pixels, stages[0]!.channels, {
    kernel: patch,
    stride: patch,
  });
  let x = channelNorm(g, embeddings.at('layernorm'), patches);
  return stages.map(({ channels, layers }, index) => {
    const stage = w.at(`encoder.stages.${index}`);
    if (index > 0) {
      const normalized = channelNorm(g, stage.at('downsampling_layer.0'), x);
      x = conv2d(g, stage.at('downsampling_layer.1'), normalized, channels, { kernel: 2, stride: 2 });
    }
    for (let layer = 0; layer < layers; layer++) x = convNextLayer(g, stage.at(`layers.${layer}`), x);
    return channelNorm(g, w.at(`hidden_states_norms.stage${index + 1}`), x);
  });
}

/** `ConvNextLayer`. [B, C, H, W] -> [B, C, H, W] */
function convNextLayer(g: Graph, w: Weights, x: Value): Value {
  const channels = x.dims[1]!;
  const spatial = conv2d(g, w.at('dwconv'), x, channels, { kernel: 7, padding: 3, groups: channels });
  const tokens = layerNorm(g, w.at('layernorm'), toTokens(g, spatial), epsilon); // [B*H*W, C]
  const wide = gelu(g, linear(g, w.at('pwconv1'), tokens, 4 * channels));
  const narrow = linear(g, w.at('pwconv2'), wide, channels);
  const scaled = multiply(g, narrow, g.weight(w.tensor('layer_scale_parameter', [channels])));
  return add(g, x, fromTokens(g, scaled, x));
}

/** Layer norm over the channels of each pixel. [B, C, H, W] -> [B, C, H, W] */
function channelNorm(g: Graph, w: Weights, x: Value): Value {
  return fromTokens(g, layerNorm(g, w, toTokens(g, x), epsilon), x);
}

/** `UperNetHead` */
function upernetHead(g: Graph, w: Weights, { width, labels }: UpernetConfig, features: readonly Value[]): Value {
  const below = features.slice(0, -1);
  const laterals = below.map((feature, level) => convModule(g, w.at(`lateral_convs.${level}`), feature, width, 1));
  laterals.push(pyramidPooling(g, w, features.at(-1)!, width));
  for (let level = laterals.length - 1; level > 0; level--) {
    const larger = laterals[level - 1]!;
    laterals[level - 1] = add(g, larger, resizedLike(g, laterals[level]!, larger));
  }
  const outputs = below.map((_, level) => convModule(g, w.at(`fpn_convs.${level}`), laterals[level]!, width, 3));
  outputs.push(laterals.at(-1)!);
  const [largest] = outputs as [Value];
  const joined = concat(
    g,
    outputs.map((output) => resizedLike(g, output, largest)),
    1,
  );
  return conv2d(g, w.at('classifier'), convModule(g, w.at('fpn_bottleneck'), joined, width, 3), labels, { kernel: 1 });
}

/** `UperNetHead.psp_forward`. [B, C, H, W] -> [B, width, H, W] */
function pyramidPooling(g: Graph, w: Weights, x: Value, width: number): Value {
  const views = grids.map((grid, index) => {
    const pooled = averagesOnGrid(g, x, grid);
    return resizedLike(g, convModule(g, w.at(`psp_modules.${index}.1`), pooled, width, 1), x);
  });
  return convModule(g, w.at('bottleneck'), concat(g, [x, ...views], 1), width, 3);
}

/**
 * `AdaptiveAvgPool2d`: the fields of the grid overlap where its side does not divide the picture's, which no pooling of
 * ONNX does; so it is a product with the shares of the pixels. [B, C, H, W] -> [B, C, grid, grid]
 */
function averagesOnGrid(g: Graph, x: Value, grid: number): Value {
  const [batch, channels, height, width] = x.dims as [number, number, number, number];
  const shares = float32([grid * grid, height * width]);
  for (let field = 0; field < grid * grid; field++) {
    const [top, bottom] = span(Math.floor(field / grid), grid, height);
    const [left, right] = span(field % grid, grid, width);
    const share = 1 / ((bottom - top) * (right - left));
    for (let y = top; y < bottom; y++) {
      const row = (field * height + y) * width;
      shares.data.fill(share, row + left, row + right);
    }
  }
  const flat = reshape(g, x, [batch * channels, height * width]);
  return reshape(g, dotProducts(g, flat, g.constant(shares)), [batch, channels, grid, grid]);
}

/** First pixel of a field, and the first one after it. */
function span(index: number, count: number, size: number): [number, number] {
  return [Math.floor((index * size) / count), Math.ceil(((index + 1) * size) / count)];
}

/** `UperNetConvModule`, which keeps the picture's size. */
function convModule(g: Graph, w: Weights, x: Value, channels: number, kernel: 1 | 3): Value {
  const convolved = conv2d(g, w.at('conv'), x, channels, { kernel, padding: (kernel - 1) / 2, bias: false });
  return relu(g, batchNorm(g, w.at('batch_norm'), convolved));
}

function resizedLike(g: Graph, x: Value, like: Value): Value {
  const [, , height, width] = like.dims as [number, number, number, number];
  return x.dims[2] === height && x.dims[3] === width ? x : resizeLinear(g, x, height, width, false);
}
