/**
 * Changes of a layer's weights that are not low rank: in every run the weights are made anew, change after change, each
 * from what the one before left. A few copies of one layer's weights exist for the time of that layer.
 *
 * As comfy/model_patcher.py `calculate_weight` of ComfyUI at ae77590b computes them, by the definitions of LoHa (arXiv
 * 2108.06098), LoKr and GLoRA (2309.14859) and DoRA (2402.09353). Weights are matrices [out, in], kernels [out, in*h*w].
 */
import { float32 } from '../math/tensor.ts';
import type { Factored, Form, ScaledChange } from '../weights/lora-change.ts';
import type { TensorRef } from '../weights/safetensors.ts';
import type { Graph, Value } from './graph.ts';
import { lowRankOf, matrixOf, productOf, scaleOf } from './low-rank.ts';
import { add, divide, multiply, reshape, scale, squareRoot, sum } from './ops.ts';
import { product } from './products.ts';

/** The shape of a layer's weights: [out, in] of a matrix, [out, in, kernel] of a square kernel. */
export type LayerShape = readonly [out: number, inside: number, kernel?: number];

export function changedWeights(g: Graph, weights: Value, change: ScaledChange, shape: LayerShape): Value {
  const changed = summed(g, weights, change.form, scaleOf(g, change));
  return change.magnitudes ? rescaled(g, changed, change.magnitudes, shape) : changed;
}

function summed(g: Graph, weights: Value, form: Form, factor: Value): Value {
  switch (form.kind) {
    case 'lora': {
      const { up, down } = lowRankOf(g, form, factor);
      return product(g, up, down, weights);
    }
    case 'loha':
      return add(g, weights, multiply(g, productOf(g, form.first, factor), productOf(g, form.second, one(g, factor))));
    case 'lokr':
      return add(g, weights, kronecker(g, factorOf(g, form.first, factor), factorOf(g, form.second, one(g, factor))));
    case 'glora': {
      const [a1, a2, b1, b2] = [form.a1, form.a2, form.b1, form.b2].map((tensor) => matrixOf(g, tensor));
      const narrow = product(g, weights, multiply(g, a2!, factor));
      return product(g, narrow, a1!, product(g, multiply(g, b2!, factor), b1!, weights));
    }
    case 'difference':
      return add(g, weights, multiply(g, matrixOf(g, form.difference), factor));
  }
}

/** Of one: what depends on weights alone ONNX Runtime would compute when it loads the graph, and keep. */
function one(g: Graph, factor: Value): Value {
  return add(g, scale(g, factor, 0), g.constant(float32([1], Float32Array.of(1))));
}

function factorOf(g: Graph, stored: TensorRef | Factored, factor: Value): Value {
  return 'a' in stored ? productOf(g, stored, factor) : multiply(g, matrixOf(g, stored), factor);
}

/** [P, Q], [R, S] -> [P*R, Q*S] */
function kronecker(g: Graph, a: Value, b: Value): Value {
  const [[p, q], [r, s]] = [a.dims, b.dims] as [[number, number], [number, number]];
  const products = multiply(g, reshape(g, a, [p, 1, q, 1]), reshape(g, b, [1, r, 1, s]));
  return reshape(g, products, [p * r, q * s]);
}

/**
 * The weights of each input brought to another length, as `apply_weight_decompose` does. Magnitudes have the shape that
 * ComfyUI divides by the lengths [1, in] or [1, in, 1, 1]; other ones than these it stretches, and so it is done here.
 */
function rescaled(g: Graph, weights: Value, magnitudes: TensorRef, [out, inside, kernel]: LayerShape): Value {
  const stored = kernel === undefined ? [out, inside] : [out, inside, kernel, kernel];
  const wanted = g.weight(magnitudes, [...stored.slice(magnitudes.shape.length).map(() => 1), ...magnitudes.shape]);
  const squares = sum(g, multiply(g, weights, weights), 0);
  // A matrix is reshaped nowhere: the time that ONNX Runtime takes to load a network grows faster than its nodes, and a
  // network has hundreds of these.
  if (kernel === undefined) return multiply(g, weights, divide(g, wanted, squareRoot(g, squares)));
  const lengths = squareRoot(g, sum(g, reshape(g, squares, [inside, kernel ** 2]), 1));
  const ratio = divide(g, wanted, reshape(g, lengths, [1, inside, 1, 1]));
  return reshape(g, multiply(g, reshape(g, weights, stored), ratio), weights.dims);
}
