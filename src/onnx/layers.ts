/**
 * The layers that networks are written in: operations that take their weights from a scope, by the names and in the
 * layout of the checkpoint.
 */
import { float32, sizeOf } from '../math/tensor.ts';
import type { Weights } from '../weights/scope.ts';
import { changedConvolve, changedGemm, changedVector, changeOf } from './changed-layer.ts';
import type { Graph, Value } from './graph.ts';
import { add, demand, divide, gelu, mean, multiply, reshape, scale, slice, squareRoot } from './ops.ts';
import { rows, type Window } from './products.ts';

export interface ConvOptions extends Window {
  kernel: number;
  bias?: boolean;
}

/** [B, C, H, W] -> [B, channels, H', W'] */
export function conv2d(g: Graph, w: Weights, x: Value, channels: number, options: ConvOptions): Value {
  const { kernel, bias = true, ...window } = options;
  const inChannels = x.dims[1]! / (window.groups ?? 1);
  const weight = w.tensor('weight', [channels, inChannels, kernel, kernel]);
  const addend = bias ? changedVector(g, w, 'bias', channels) : undefined;
  return changedConvolve(g, x, weight, addend, window, changeOf(g, w, [channels, inChannels, kernel]));
}

/** Weights are stored [out, in]. [N, in] -> [N, features] */
export function linear(g: Graph, w: Weights, x: Value, features: number, { bias = true } = {}): Value {
  const shape = [features, x.dims[1]!] as const;
  const weight = g.weight(w.tensor('weight', shape));
  const addend = bias ? changedVector(g, w, 'bias', features) : undefined;
  return changedGemm(g, x, weight, addend, changeOf(g, w, shape));
}

/** A 1x1 convolution of tokens, whose weights are stored [out, in, 1, 1]. [N, in] -> [N, features] */
export function pointwise(g: Graph, w: Weights, x: Value, features: number): Value {
  const inFeatures = x.dims[1]!;
  const weight = g.weight(w.tensor('weight', [features, inFeatures, 1, 1]), [features, inFeatures]);
  return changedGemm(g, x, weight, changedVector(g, w, 'bias', features), changeOf(g, w, [features, inFeatures, 1]));
}

/** The gated GELU of arXiv 2002.05202: one stored matrix, its second half is the gate. [N, in] -> [N, features] */
export function gatedGelu(g: Graph, w: Weights, x: Value, features: number): Value {
  const shape = [2 * features, x.dims[1]!] as const;
  const weight = w.tensor('weight', shape);
  const change = changeOf(g, w, shape);
  if ((change && 'whole' in change) || w.changes?.('bias').length) {
    const both = changedGemm(g, x, g.weight(weight), changedVector(g, w, 'bias', 2 * features), change);
    return multiply(g, slice(g, both, 1, 0, features), gelu(g, slice(g, both, 1, features, 2 * features)));
  }
  const bias = w.tensor('bias', [2 * features]);
  const half = (first: number): Value => {
    const own = change && { ...change, up: slice(g, change.up, 0, first, first + features) };
    return changedGemm(g, x, rows(g, weight, first, features), rows(g, bias, first, features), own);
  };
  return multiply(g, half(0), gelu(g, half(features)));
}

/** The rows of a stored table that `indices` name. int [...] -> [..., width] */
export function embedding(g: Graph, w: Weights, indices: Value, count: number, width: number): Value {
  const table = g.weight(w.tensor('weight', [count, width]));
  return g.node('Gather', [table, indices], { dims: [...indices.dims, width] });
}

/** Normalizes over groups of channels. */
export function groupNorm(g: Graph, w: Weights, x: Value, groups: number, epsilon: number): Value {
  const [batch, channels, ...space] = x.dims as [number, number, ...number[]];
  demand(channels % groups === 0, `groupNorm of ${groups} groups`, x);
  const grouped = reshape(g, x, [batch, groups, (channels / groups) * sizeOf(space)]);
  const normalized = g.either({
    fused: () => instanceNorm(g, grouped, epsilon),
    basic: () => standardize(g, grouped, epsilon),
  });
  const perChannel = [channels, ...space.map(() => 1)];
  const weight = changedVector(g, w, 'weight', channels, perChannel);
  const bias = changedVector(g, w, 'bias', channels, perChannel);
  return add(g, multiply(g, reshape(g, normalized, x.dims), weight), bias);
}

/** Of a group as one channel: the fastest form on the CPU. [B, C, N] -> [B, C, N] */
function instanceNorm(g: Graph, x: Value, epsilon: number): Value {
  const channels = x.dims[1]!;
  const ones = g.constant(float32([channels], new Float32Array(channels).fill(1)));
  const zeros = g.constant(float32([channels]));
  return g.node('InstanceNormalization', [x, ones, zeros], x, { attributes: { epsilon: { float: epsilon } } });
}

/**
 * The same where that operator is wrong (docs/decisions/webgpu-operators.md). The variance is that of differences from
 * the mean, which loses nothing where the mean is large.
 */
export function standardize(g: Graph, x: Value, epsilon: number): Value {
  const difference = add(g, x, scale(g, mean(g, x), -1));
  const variance = mean(g, multiply(g, difference, difference));
  const deviation = squareRoot(g, add(g, variance, g.constant(float32([1], Float32Array.of(epsilon)))));
  return divide(g, difference, deviation);
}

/** Normalizes over the last axis. */
export function layerNorm(g: Graph, w: Weights, x: Value, epsilon: number): Value {
  const width = x.dims.at(-1)!;
  const weight = changedVector(g, w, 'weight', width);
  const bias = changedVector(g, w, 'bias', width);
  return g.node('LayerNormalization', [x, weight, bias], x, { attributes: { epsilon: { float: epsilon } } });
}

/** Normalizes each channel by what training measured. [B, C, H, W] -> [B, C, H, W] */
export function batchNorm(g: Graph, w: Weights, x: Value, epsilon = 1e-5): Value {
  const channels = x.dims[1]!;
  const [weight, bias, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((name) =>
    g.weight(w.tensor(name, [channels])),
  );
  const attributes = { epsilon: { float: epsilon } };
  return g.node('BatchNormalization', [x, weight, bias, mean, variance], x, { attributes });
}

/** The count of batches that a batch norm was trained with. Inference has no use for it. */
export function isBatchCount(name: string): boolean {
  return name.endsWith('.num_batches_tracked');
}
