/**
 * The matrices that LoRAs consist of, as values of a graph. Scales are inputs of the graph, so that one session serves all
 * of them. It also keeps ONNX Runtime from making a change once when it loads the graph, and from holding a second copy
 * of all weights from then on.
 */
import { sizeOf } from '../math/tensor.ts';
import type { Factored, Form, ScaledChange } from '../weights/lora-change.ts';
import type { TensorRef } from '../weights/safetensors.ts';
import type { NetworkWeights } from '../weights/scope.ts';
import type { Graph, Value } from './graph.ts';
import { multiply, reshape, scale, transpose } from './ops.ts';
import { product } from './products.ts';

/** A change of the weights as up * down. */
export interface LowRank {
  /** Scaled. [out, rank] */
  up: Value;
  /** [rank, in], of a convolution [rank, in*h*w] */
  down: Value;
}

/** Declares the scales of all LoRAs as inputs: `lora_scale.<i>` (float32 [1]). */
export function declareScales(g: Graph, { scales = [] }: NetworkWeights): void {
  for (const scale of scales) g.input(scale, 'float32', [1]);
}

/** The factor of a change times the input that scales it. [1] */
export function scaleOf(g: Graph, { scale: name, factor }: Pick<ScaledChange, 'scale' | 'factor'>): Value {
  const input = g.inputs.find((value) => value.name === name);
  if (!input)
    throw new RangeError(`The graph has no input "${name}": a network with LoRAs has to declare their scales.`);
  return scale(g, input, factor);
}

/** A middle kernel stands between two 1x1 convolutions and is multiplied with the first. */
export function lowRankOf(g: Graph, { up, down, middle }: Form & { kind: 'lora' }, factor: Value): LowRank {
  const right = matrixOf(g, down);
  return { up: multiply(g, matrixOf(g, up), factor), down: middle ? throughCore(g, middle, right) : right };
}

/** [P, Q], of a kernel [P, Q*h*w] */
export function productOf(g: Graph, { a, b, core }: Factored, factor: Value): Value {
  const [left, right] = [multiply(g, matrixOf(g, a), factor), matrixOf(g, b)];
  return core ? product(g, transpose(g, left, [1, 0]), throughCore(g, core, right)) : product(g, left, right);
}

/** As it is stored, with the axes after the first as one. */
export function matrixOf(g: Graph, tensor: TensorRef): Value {
  const [rows = 1, ...rest] = tensor.shape;
  return g.weight(tensor, [rows, sizeOf(rest)]);
}

/** core [I, J, h, w], b [J, Q] -> [I, Q*h*w] */
function throughCore(g: Graph, core: TensorRef, b: Value): Value {
  const [first, second, ...kernel] = core.shape as [number, number, ...number[]];
  const [area, columns] = [sizeOf(kernel), b.dims[1]!];
  const kernels = transpose(g, g.weight(core, [first, second, area]), [0, 2, 1]);
  const products = product(g, reshape(g, kernels, [first * area, second]), b);
  const ordered = transpose(g, reshape(g, products, [first, area, columns]), [0, 2, 1]);
  return reshape(g, ordered, [first, columns * area]);
}
