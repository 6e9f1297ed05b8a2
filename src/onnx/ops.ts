/**
 * The operations without weights that networks are written in. Each takes values and returns a value; shapes are
 * checked here, so that a mistake shows where it is made and not when ONNX Runtime loads the graph. The choice of ONNX
 * operators follows measurements on the CPU provider (docs/performance.md).
 */
import { float32, sizeOf, type Tensor } from '../math/tensor.ts';
import type { Graph, Value } from './graph.ts';
import { describe } from './model.ts';

const microsoft = 'com.microsoft';

/** @throws RangeError showing the values, when an op cannot take them */
export function demand(condition: boolean, op: string, ...values: readonly Value[]): void {
  if (!condition) throw new RangeError(`${op} cannot take ${values.map(describe).join(' and ')}.`);
}

function integers(values: readonly number[]): Tensor<'int64'> {
  return { type: 'int64', dims: [values.length], data: BigInt64Array.from(values, BigInt) };
}

function scalar(value: number): Tensor {
  return float32([], new Float32Array([value]));
}

// Shape

export function reshape(g: Graph, x: Value, dims: readonly number[]): Value {
  if (sizeOf(dims) !== sizeOf(x.dims)) throw new RangeError(`${describe(x)} cannot become [${dims.join(', ')}].`);
  return g.node('Reshape', [x, g.constant(integers(dims))], { dims });
}

export function transpose(g: Graph, x: Value, permutation: readonly number[]): Value {
  demand(permutation.length === x.dims.length, 'transpose', x);
  const dims = permutation.map((axis) => x.dims[axis]!);
  return g.node('Transpose', [x], { dims }, { attributes: { perm: { integers: permutation } } });
}

export function concat(g: Graph, parts: readonly Value[], axis: number): Value {
  const [first] = parts as [Value];
  const alike = (part: Value): boolean => part.dims.every((dim, index) => index === axis || dim === first.dims[index]);
  demand(
    parts.every((part) => part.dims.length === first.dims.length && alike(part)),
    'concat',
    ...parts,
  );
  const dims = first.dims.with(
    axis,
    parts.reduce((sum, part) => sum + part.dims[axis]!, 0),
  );
  return g.node('Concat', parts, { dims }, { attributes: { axis: { integer: axis } } });
}

/** The part of one axis from `first` up to, and without, `end`. */
export function slice(g: Graph, x: Value, axis: number, first: number, end: number): Value {
  demand(first >= 0 && first < end && end <= x.dims[axis]!, `slice ${first} to ${end} of axis ${axis}`, x);
  const bounds = [first, end, axis].map((bound) => g.constant(integers([bound])));
  return g.node('Slice', [x, ...bounds], { dims: x.dims.with(axis, end - first) });
}

/** Picture to tokens. [B, C, H, W] -> [B*H*W, C] */
export function toTokens(g: Graph, x: Value): Value {
  const [batch, channels, height, width] = x.dims as [number, number, number, number];
  const flat = reshape(g, x, [batch, channels, height * width]);
  return reshape(g, transpose(g, flat, [0, 2, 1]), [batch * height * width, channels]);
}

/** Tokens back to a picture of the shape that `like` has, its channels aside. [B*H*W, C] -> [B, C, H, W] */
export function fromTokens(g: Graph, x: Value, like: Value): Value {
  const [batch, , height, width] = like.dims as [number, number, number, number];
  const channels = x.dims[1]!;
  const rows = reshape(g, x, [batch, height * width, channels]);
  return reshape(g, transpose(g, rows, [0, 2, 1]), [batch, channels, height, width]);
}

/** The rows that `indices` name, 0 to `rows - 1`. x [rows, …], int [N] -> [N, …] */
export function gather(g: Graph, x: Value, indices: Value): Value {
  return g.node('Gather', [x, indices], { dims: [...indices.dims, ...x.dims.slice(1)] });
}

// Whole numbers and conditions

const typeNumbers = { float32: 1, int32: 6, int64: 7, bool: 9 } as const;

export function cast(g: Graph, x: Value, type: keyof typeof typeNumbers): Value {
  return g.node('Cast', [x], { dims: x.dims, type }, { attributes: { to: { integer: typeNumbers[type] } } });
}

/** Where a tensor of int32 has this value: int32, 1 or 0. */
export function equals(g: Graph, x: Value, value: number): Value {
  const wanted = g.constant({ type: 'int32', dims: [], data: Int32Array.of(value) });
  return cast(g, g.node('Equal', [x, wanted], { dims: x.dims, type: 'bool' }), 'int32');
}

/** The place of the largest element along an axis, the first of equal ones. -> int64, without the axis */
export function argMax(g: Graph, x: Value, axis: number): Value {
  const attributes = { axis: { integer: axis }, keepdims: { integer: 0 } };
  return g.node('ArgMax', [x], { dims: x.dims.toSpliced(axis, 1), type: 'int64' }, { attributes });
}

/** The sum of the elements up to and with each one, along an axis. */
export function cumulativeSum(g: Graph, x: Value, axis: number): Value {
  return g.node('CumSum', [x, g.constant({ type: 'int64', dims: [], data: BigInt64Array.of(BigInt(axis)) })], x);
}

/** `a` where the condition holds, `b` elsewhere. */
export function where(g: Graph, condition: Value, a: Value, b: Value): Value {
  return g.node('Where', [condition, a, b], { dims: a.dims, type: a.type });
}

// Arithmetic

export function add(g: Graph, a: Value, b: Value): Value {
  return g.node('Add', [a, b], { dims: broadcast('add', a, b) });
}

export function multiply(g: Graph, a: Value, b: Value): Value {
  return g.node('Mul', [a, b], { dims: broadcast('multiply', a, b) });
}

export function divide(g: Graph, a: Value, b: Value): Value {
  return g.node('Div', [a, b], { dims: broadcast('divide', a, b) });
}

export function squareRoot(g: Graph, x: Value): Value {
  return g.node('Sqrt', [x], x);
}

/** Along the last axis, which stays with one element. */
export function mean(g: Graph, x: Value): Value {
  const axis = x.dims.length - 1;
  return g.node('ReduceMean', [x], { dims: x.dims.with(axis, 1) }, { attributes: { axes: { integers: [axis] } } });
}

/** Along one axis, which stays with one element. */
export function sum(g: Graph, x: Value, axis: number): Value {
  return g.node('ReduceSum', [x, g.constant(integers([axis]))], { dims: x.dims.with(axis, 1) });
}

export function scale(g: Graph, x: Value, factor: number): Value {
  return factor === 1 ? x : multiply(g, x, g.constant(scalar(factor)));
}

// GPUs may be off by 2^-11 between -π and π, and by anything beyond (WGSL, "Accuracy of Built-in Functions").
const accurate = { onCpu: true };

export function sine(g: Graph, x: Value): Value {
  return g.node('Sin', [x], x, accurate);
}

export function cosine(g: Graph, x: Value): Value {
  return g.node('Cos', [x], x, accurate);
}

/** a · bᵀ. [N, K], [M, K] -> [N, M] */
export function dotProducts(g: Graph, a: Value, b: Value): Value {
  demand(a.dims.length === 2 && b.dims.length === 2 && a.dims[1] === b.dims[1], 'dotProducts', a, b);
  return g.node('Gemm', [a, b], { dims: [a.dims[0]!, b.dims[0]!] }, { attributes: { transB: { integer: 1 } } });
}

/** Divided by its length along the last axis. */
export function normalize(g: Graph, x: Value): Value {
  return g.node('LpNormalization', [x], x, { attributes: { axis: { integer: x.dims.length - 1 }, p: { integer: 2 } } });
}

function broadcast(op: string, a: Value, b: Value): number[] {
  const rank = Math.max(a.dims.length, b.dims.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a.dims[axis - rank + a.dims.length] ?? 1;
    const right = b.dims[axis - rank + b.dims.length] ?? 1;
    demand(left === right || left === 1 || right === 1, op, a, b);
    return Math.max(left, right);
  });
}

// Activations

export function relu(g: Graph, x: Value): Value {
  return g.node('Relu', [x], x);
}

/** Values from 0 to 6. */
export function relu6(g: Graph, x: Value): Value {
  return g.node('Clip', [x, g.constant(scalar(0)), g.constant(scalar(6))], x);
}

export function sigmoid(g: Graph, x: Value): Value {
  return g.node('Sigmoid', [x], x);
}

/** x * sigmoid(x) */
export function silu(g: Graph, x: Value): Value {
  return sigmoidGate(g, x, 1);
}

/** x * sigmoid(1.702 x), OpenAI's approximation of GELU. */
export function quickGelu(g: Graph, x: Value): Value {
  return sigmoidGate(g, x, 1.702);
}

/** The exact GELU, by the error function. */
export function gelu(g: Graph, x: Value): Value {
  return g.node('Gelu', [x], x, { domain: microsoft });
}

function sigmoidGate(g: Graph, x: Value, alpha: number): Value {
  return g.node('QuickGelu', [x], x, { domain: microsoft, attributes: { alpha: { float: alpha } } });
}

// Resizing

/** Each pixel of the result is the one at floor(index * old / new). [B, C, H, W] -> [B, C, height, width] */
export function resizeNearest(g: Graph, x: Value, height: number, width: number): Value {
  const [batch, channels] = x.dims as [number, number];
  const dims = [batch, channels, height, width];
  const attributes = {
    mode: { text: 'nearest' },
    nearest_mode: { text: 'floor' },
    coordinate_transformation_mode: { text: 'asymmetric' },
  };
  return g.node('Resize', [x, undefined, undefined, g.constant(integers(dims))], { dims }, { attributes });
}

/**
 * Bilinear, without averaging where the picture shrinks. With `alignCorners` the centres of the corner pixels stay
 * where they are; without it the edges of the picture do. [B, C, H, W] -> [B, C, height, width]
 */
export function resizeLinear(g: Graph, x: Value, height: number, width: number, alignCorners: boolean): Value {
  const [batch, channels] = x.dims as [number, number];
  const dims = [batch, channels, height, width];
  const attributes = {
    mode: { text: 'linear' },
    coordinate_transformation_mode: { text: alignCorners ? 'align_corners' : 'half_pixel' },
  };
  return g.node('Resize', [x, undefined, undefined, g.constant(integers(dims))], { dims }, { attributes });
}
