/**
 * The layers that networks are written in: operations that take their weights from a scope, by the names and in the
 * layout of the checkpoint.
 */
import { float32, sizeOf } from '../math/tensor.ts';
import type { TensorRef } from '../weights/safetensors.ts';
import type { Weights } from '../weights/scope.ts';
import type { Graph, Value } from './graph.ts';
import { add, demand, gelu, multiply, reshape } from './ops.ts';

export interface ConvOptions {
  kernel: number;
  stride?: number;
  padding?: number;
}

/** [B, C, H, W] -> [B, channels, H', W'] */
export function conv2d(g: Graph, w: Weights, x: Value, channels: number, options: ConvOptions): Value {
  const { kernel, stride = 1, padding = 0 } = options;
  const [batch, inChannels, height, width] = x.dims as [number, number, number, number];
  const out = (size: number): number => Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const weight = g.weight(w.tensor('weight', [channels, inChannels, kernel, kernel]));
  const bias = g.weight(w.tensor('bias', [channels]));
  const attributes = {
    kernel_shape: { integers: [kernel, kernel] },
    strides: { integers: [stride, stride] },
    pads: { integers: [padding, padding, padding, padding] },
  };
  return g.node('Conv', [x, weight, bias], { dims: [batch, channels, out(height), out(width)] }, { attributes });
}

/** Weights are stored [out, in]. [N, in] -> [N, features] */
export function linear(g: Graph, w: Weights, x: Value, features: number, { bias = true } = {}): Value {
  const weight = g.weight(w.tensor('weight', [features, x.dims[1]!]));
  return gemm(g, x, weight, bias ? g.weight(w.tensor('bias', [features])) : undefined);
}

/** A 1x1 convolution of tokens, whose weights are stored [out, in, 1, 1]. [N, in] -> [N, features] */
export function pointwise(g: Graph, w: Weights, x: Value, features: number): Value {
  const inFeatures = x.dims[1]!;
  const weight = g.weight(w.tensor('weight', [features, inFeatures, 1, 1]), [features, inFeatures]);
  return gemm(g, x, weight, g.weight(w.tensor('bias', [features])));
}

/** The gated GELU of arXiv 2002.05202: one stored matrix, its second half is the gate. [N, in] -> [N, features] */
export function gatedGelu(g: Graph, w: Weights, x: Value, features: number): Value {
  const weight = w.tensor('weight', [2 * features, x.dims[1]!]);
  const bias = w.tensor('bias', [2 * features]);
  const half = (index: 0 | 1): Value =>
    gemm(g, x, g.weight(rows(weight, index * features, features)), g.weight(rows(bias, index * features, features)));
  return multiply(g, half(0), gelu(g, half(1)));
}

function gemm(g: Graph, x: Value, weight: Value, bias: Value | undefined): Value {
  demand(x.dims.length === 2 && x.dims[1] === weight.dims[1], 'linear', x, weight);
  return g.node(
    'Gemm',
    bias ? [x, weight, bias] : [x, weight],
    { dims: [x.dims[0]!, weight.dims[0]!] },
    { attributes: { transB: { integer: 1 } } },
  );
}

/** `count` rows of a stored tensor, where they lie. */
function rows(tensor: TensorRef, first: number, count: number): TensorRef {
  const rowLength = tensor.byteLength / tensor.shape[0]!;
  const offset = tensor.offset + first * rowLength;
  return { ...tensor, offset, byteLength: count * rowLength, shape: tensor.shape.with(0, count) };
}

/** The rows of a stored table that `indices` name. int [...] -> [..., width] */
export function embedding(g: Graph, w: Weights, indices: Value, count: number, width: number): Value {
  const table = g.weight(w.tensor('weight', [count, width]));
  return g.node('Gather', [table, indices], { dims: [...indices.dims, width] });
}

/** Normalizes over groups of channels. Instance normalization of the reshaped value is the fastest form on the CPU. */
export function groupNorm(g: Graph, w: Weights, x: Value, groups: number, epsilon: number): Value {
  const [batch, channels, ...space] = x.dims as [number, number, ...number[]];
  demand(channels % groups === 0, `groupNorm of ${groups} groups`, x);
  const ones = g.constant(float32([groups], new Float32Array(groups).fill(1)));
  const zeros = g.constant(float32([groups]));
  const grouped = reshape(g, x, [batch, groups, (channels / groups) * sizeOf(space)]);
  const attributes = { epsilon: { float: epsilon } };
  const normalized = g.node('InstanceNormalization', [grouped, ones, zeros], grouped, { attributes });
  const perChannel = [channels, ...space.map(() => 1)];
  const weight = g.weight(w.tensor('weight', [channels]), perChannel);
  const bias = g.weight(w.tensor('bias', [channels]), perChannel);
  return add(g, multiply(g, reshape(g, normalized, x.dims), weight), bias);
}

/** Normalizes over the last axis. */
export function layerNorm(g: Graph, w: Weights, x: Value, epsilon: number): Value {
  const width = x.dims.at(-1)!;
  const weight = g.weight(w.tensor('weight', [width]));
  const bias = g.weight(w.tensor('bias', [width]));
  return g.node('LayerNormalization', [x, weight, bias], x, { attributes: { epsilon: { float: epsilon } } });
}
