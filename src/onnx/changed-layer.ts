/**
 * Layers whose weights LoRAs change, while the file of the weights stays as it is. A low-rank change (arXiv 2106.09685) is
 * made in one of two ways, whichever needs fewer multiplications:
 *
 * - of the weights, in every run: W + up * down, then the layer. Costs out * in * rank, however many rows there are. A
 *   copy of one layer's weights exists for the time of that layer.
 * - of the results: W x + up (down x). Costs rows * (in + out) * rank: for few rows, as at the lowest resolutions.
 *
 * Every other change is one of the weights (`whole-change.ts`).
 */
import { sizeOf } from '../math/tensor.ts';
import type { Form, ScaledChange } from '../weights/lora-change.ts';
import type { TensorRef } from '../weights/safetensors.ts';
import type { Weights } from '../weights/scope.ts';
import type { Graph, Value } from './graph.ts';
import { type LowRank, lowRankOf, matrixOf, scaleOf } from './low-rank.ts';
import { add, concat, reshape } from './ops.ts';
import { convolve, gemm, product, type Window } from './products.ts';
import { changedWeights, type LayerShape } from './whole-change.ts';

/** What all LoRAs together make of a layer's weights; `whole` takes and returns them as a matrix [out, in*h*w]. */
export type Change = LowRank | { whole(weights: Value): Value };

/** Of the layer that `w` names; its weights have this shape. */
export function changeOf(g: Graph, w: Weights, shape: LayerShape): Change | undefined {
  const changes = w.changes?.('weight') ?? [];
  if (changes.length === 0) return undefined;
  if (!changes.every(isLowRank)) {
    return { whole: (weights) => changes.reduce((made, change) => changedWeights(g, made, change, shape), weights) };
  }
  const parts = changes.map((change) => lowRankOf(g, change.form, scaleOf(g, change)));
  if (parts.length === 1) return parts[0];
  const joined = (part: keyof LowRank, axis: number): Value =>
    concat(
      g,
      parts.map((found) => found[part]),
      axis,
    );
  return { up: joined('up', 1), down: joined('down', 0) };
}

function isLowRank(change: ScaledChange): change is ScaledChange & { form: Form & { kind: 'lora' } } {
  return change.form.kind === 'lora' && !change.magnitudes;
}

/** A bias, or the weights of a norm, read as `dims`. */
export function changedVector(
  g: Graph,
  w: Weights,
  name: 'weight' | 'bias',
  length: number,
  dims: readonly number[] = [length],
): Value {
  const stored = g.weight(w.tensor(name, [length]), dims);
  const changes = w.changes?.(name) ?? [];
  // One column of a matrix: what has one axis can be changed in most of the ways of what has two.
  const shape = [length, 1] as const;
  return changes.reduce(
    (made, change) => reshape(g, changedWeights(g, reshape(g, made, shape), change, shape), dims),
    stored,
  );
}

/** [N, in], [out, in] -> [N, out] */
export function changedGemm(g: Graph, x: Value, weight: Value, addend: Value | undefined, change?: Change): Value {
  if (!change) return gemm(g, x, weight, addend);
  if ('whole' in change) return gemm(g, x, change.whole(weight), addend);
  const [count, inFeatures] = x.dims as [number, number];
  const features = weight.dims[0]!;
  if (features * inFeatures < count * (features + inFeatures)) {
    return gemm(g, x, product(g, change.up, change.down, weight), addend);
  }
  return gemm(g, gemm(g, x, change.down, undefined), change.up, gemm(g, x, weight, addend));
}

/** [B, in, H, W], [out, in, k, k] -> [B, out, H', W'] */
export function changedConvolve(
  g: Graph,
  x: Value,
  kernel: TensorRef,
  bias: Value | undefined,
  window: Window,
  change?: Change,
): Value {
  if (!change) return convolve(g, x, g.weight(kernel), bias, window);
  if ('whole' in change) {
    return convolve(g, x, reshape(g, change.whole(matrixOf(g, kernel)), kernel.shape), bias, window);
  }
  const { up, down } = change;
  const [channels, inChannels, height, width] = kernel.shape as [number, number, number, number];
  const [features, rank] = [inChannels * height * width, down.dims[0]!];
  const count = sizeOf(x.dims) / inChannels / (window.stride ?? 1) ** 2;
  if (features * channels < count * (features + channels)) {
    const changed = product(g, up, down, matrixOf(g, kernel));
    return convolve(g, x, reshape(g, changed, kernel.shape), bias, window);
  }
  const narrow = convolve(g, x, reshape(g, down, [rank, inChannels, height, width]), undefined, window);
  const wide = convolve(g, narrow, reshape(g, up, [channels, rank, 1, 1]), undefined, {});
  return add(g, convolve(g, x, g.weight(kernel), bias, window), wide);
}
