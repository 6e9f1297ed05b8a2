/**
 * LoRA (arXiv 2106.09685) inside the graph: the weights of a layer get a product of two small matrices added, and their
 * file stays as it is. The sum is made in one of two ways, whichever needs fewer multiplications:
 *
 * - of the weights, in every run: W + up * down, then the layer. Costs out * in * rank, however many rows there are. A
 *   copy of one layer's weights exists for the time of that layer.
 * - of the results: W x + up (down x). Costs rows * (in + out) * rank: for few rows, as at the lowest resolutions.
 *
 * Scales are inputs of the graph, so that one session serves all of them. It also keeps ONNX Runtime from making the sum
 * once when it loads the graph, and from holding a second copy of all weights from then on.
 */
import { WeightError } from '../base/errors.ts';
import { sizeOf } from '../math/tensor.ts';
import type { TensorRef } from '../weights/safetensors.ts';
import type { LowRank, NetworkWeights, Weights } from '../weights/scope.ts';
import type { Graph, Value } from './graph.ts';
import { add, concat, multiply, reshape, scale, transpose } from './ops.ts';
import { convolve, gemm, product, type Window } from './products.ts';

/** What is added to the weights of a layer: up * down. */
export interface Change {
  /** Scaled. [out, rank] */
  up: Value;
  /** [rank, in], of a convolution [rank, in*h*w] */
  down: Value;
}

/** Declares the scales of all LoRAs as inputs: `lora_scale.<i>` (float32 [1]). */
export function declareScales(g: Graph, { scales = [] }: NetworkWeights): void {
  for (const scale of scales) g.input(scale, 'float32', [1]);
}

/** All additions of a layer as one; its weights have the shape [out, in, kernel, kernel], of matrices [out, in]. */
export function changeOf(
  g: Graph,
  w: Weights,
  [channels, inChannels, kernel = 1]: readonly [number, number, number?],
): Change | undefined {
  const additions = w.additions ?? [];
  if (additions.length === 0) return undefined;
  const changes = additions.map((addition): Change => {
    const rank = addition.down.shape[0]!;
    const up = g.weight(fitting(w, addition.up, [channels, rank, 1, 1]), [channels, rank]);
    return { up: multiply(g, up, scaleOf(g, addition)), down: downOf(g, w, addition, inChannels, kernel) };
  });
  if (changes.length === 1) return changes[0];
  const joined = (part: keyof Change, axis: number): Value =>
    concat(
      g,
      changes.map((change) => change[part]),
      axis,
    );
  return { up: joined('up', 1), down: joined('down', 0) };
}

/** [N, in], [out, in] -> [N, out] */
export function changedGemm(g: Graph, x: Value, weight: Value, addend: Value | undefined, change?: Change): Value {
  if (!change) return gemm(g, x, weight, addend);
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
  const { up, down } = change;
  const [channels, inChannels, height, width] = kernel.shape as [number, number, number, number];
  const [features, rank] = [inChannels * height * width, down.dims[0]!];
  const count = sizeOf(x.dims) / inChannels / (window.stride ?? 1) ** 2;
  if (features * channels < count * (features + channels)) {
    const sum = product(g, up, down, g.weight(kernel, [channels, features]));
    return convolve(g, x, reshape(g, sum, kernel.shape), bias, window);
  }
  const narrow = convolve(g, x, reshape(g, down, [rank, inChannels, height, width]), undefined, window);
  const wide = convolve(g, narrow, reshape(g, up, [channels, rank, 1, 1]), undefined, {});
  return add(g, convolve(g, x, g.weight(kernel), bias, window), wide);
}

/** alpha / rank times the input scale. [1] */
function scaleOf(g: Graph, { scale: name, factor }: LowRank): Value {
  const input = g.inputs.find((value) => value.name === name);
  if (!input)
    throw new RangeError(`The graph has no input "${name}": a network with LoRAs has to declare their scales.`);
  return scale(g, input, factor);
}

/** [rank, in*k*k]; a middle kernel stands between two 1x1 convolutions and is multiplied with the first. */
function downOf(g: Graph, w: Weights, { down, middle }: LowRank, inChannels: number, kernel: number): Value {
  const rank = down.shape[0]!;
  const area = kernel * kernel;
  if (!middle) return g.weight(fitting(w, down, [rank, inChannels, kernel, kernel]), [rank, inChannels * area]);
  const first = g.weight(fitting(w, down, [rank, inChannels, 1, 1]), [rank, inChannels]);
  const kernels = g.weight(fitting(w, middle, [rank, rank, kernel, kernel]), [rank, rank, area]);
  const rows = reshape(g, transpose(g, kernels, [0, 2, 1]), [rank * area, rank]);
  const products = reshape(g, product(g, rows, first), [rank, area, inChannels]);
  return reshape(g, transpose(g, products, [0, 2, 1]), [rank, inChannels * area]);
}

/** The tensor, if its shape is this one; axes of length one at the end may be missing. */
function fitting(w: Weights, tensor: TensorRef, shape: readonly number[]): TensorRef {
  const significant = (dims: readonly number[]): string => dims.join(', ').replace(/(, 1)*$/, '');
  if (significant(tensor.shape) === significant(shape)) return tensor;
  throw new WeightError(
    `The tensor "${tensor.name}" of the LoRA ${tensor.file} has the shape [${significant(tensor.shape)}]; ` +
      `the layer "${w.path}" needs [${significant(shape)}]. ` +
      'The LoRA was trained for another base model (SD 1.5 and SDXL do not fit each other).',
  );
}
