/**
 * LoRA (arXiv 2106.09685) inside the graph: what a layer computes from `x` gets the product of two small matrices of `x`
 * added. The layer's own weights stay as they are in their file, and nothing is merged or copied.
 */
import { WeightError } from '../base/errors.ts';
import { sizeOf } from '../math/tensor.ts';
import type { TensorRef } from '../weights/safetensors.ts';
import type { Weights } from '../weights/scope.ts';
import type { Graph, Value } from './graph.ts';
import { add, scale } from './ops.ts';
import { convolve, gemm, rows, type Window } from './products.ts';

/** An addition whose first matrix has been applied. */
export interface Narrowed {
  /** [N, rank] */
  narrow: Value;
  /** [features, rank] */
  up: TensorRef;
  factor: number;
}

/** The additions of a layer of matrices, up to their second matrix. [N, in] */
export function narrowed(g: Graph, w: Weights, x: Value, features: number): Narrowed[] {
  return (w.additions ?? []).map(({ down, middle, up, factor }) => {
    const rank = down.shape[0]!;
    if (middle) throw misfit(w, middle, [rank, rank, 1, 1]);
    const narrow = gemm(g, x, g.weight(fitting(w, down, [rank, x.dims[1]!])), undefined);
    return { narrow, up: fitting(w, up, [features, rank]), factor };
  });
}

/** Adds the `y.dims[1]` features from `first` on. [N, features] -> [N, features] */
export function widened(g: Graph, additions: readonly Narrowed[], y: Value, first = 0): Value {
  return additions.reduce(
    (sum, { narrow, up, factor }) => gemm(g, narrow, rows(g, up, first, y.dims[1]!), sum, factor),
    y,
  );
}

/** [B, in, H, W], [B, channels, H', W'] -> [B, channels, H', W'] */
export function withConvolutions(g: Graph, w: Weights, x: Value, y: Value, kernel: number, window: Window): Value {
  const [inChannels, channels] = [x.dims[1]!, y.dims[1]!];
  return (w.additions ?? []).reduce((sum, { down, middle, up, factor }) => {
    const rank = down.shape[0]!;
    const size = middle ? 1 : kernel;
    const first = g.weight(fitting(w, down, [rank, inChannels, size, size]));
    let narrow = convolve(g, x, first, undefined, middle ? {} : window);
    if (middle) {
      narrow = convolve(g, narrow, g.weight(fitting(w, middle, [rank, rank, kernel, kernel])), undefined, window);
    }
    const last = g.weight(fitting(w, up, [channels, rank, 1, 1]));
    return add(g, sum, convolve(g, scale(g, narrow, factor), last, undefined, {}));
  }, y);
}

/** The same values with or without two axes of length one: trainers differ in how they keep a 1x1 convolution. */
function fitting(w: Weights, tensor: TensorRef, shape: readonly number[]): TensorRef {
  const significant = (dims: readonly number[]): string => {
    const trailing = dims.slice(2);
    return trailing.every((dim) => dim === 1) ? dims.slice(0, 2).join() : dims.join();
  };
  if (significant(tensor.shape) !== significant(shape)) throw misfit(w, tensor, shape);
  if (tensor.shape.length === shape.length) return tensor;
  if (sizeOf(tensor.shape) !== sizeOf(shape) || tensor.axes) throw misfit(w, tensor, shape);
  return { ...tensor, shape };
}

function misfit(w: Weights, tensor: TensorRef, shape: readonly number[]): WeightError {
  return new WeightError(
    `The tensor "${tensor.name}" of the LoRA ${tensor.file} has the shape [${tensor.shape.join(', ')}]; ` +
      `the layer "${w.path}" needs [${shape.join(', ')}]. ` +
      'The LoRA was trained for another base model (SD 1.5 and SDXL do not fit each other).',
  );
}
