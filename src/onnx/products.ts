/**
 * Products with stored weights, as matrices and as kernels: what the layers of `layers.ts` and the additions of
 * `low-rank.ts` share.
 */
import type { TensorRef } from '../weights/safetensors.ts';
import type { Graph, Value } from './graph.ts';
import { demand, slice } from './ops.ts';

/** x * transposed weight + addend. [N, in], [out, in], [out] or [N, out] -> [N, out] */
export function gemm(g: Graph, x: Value, weight: Value, addend: Value | undefined): Value {
  demand(x.dims.length === 2 && x.dims[1] === weight.dims[1], 'linear', x, weight);
  return g.node(
    'Gemm',
    addend ? [x, weight, addend] : [x, weight],
    { dims: [x.dims[0]!, weight.dims[0]!] },
    { attributes: { transB: { integer: 1 } } },
  );
}

/** a * b + addend. [N, M], [M, K], [N, K] -> [N, K] */
export function product(g: Graph, a: Value, b: Value, addend?: Value): Value {
  demand(a.dims.length === 2 && a.dims[1] === b.dims[0], 'product', a, b);
  return g.node('Gemm', addend ? [a, b, addend] : [a, b], { dims: [a.dims[0]!, b.dims[1]!] });
}

/** `count` rows of a stored tensor, from where they lie. */
export function rows(g: Graph, tensor: TensorRef, first: number, count: number): Value {
  if (tensor.axes) return slice(g, g.weight(tensor), 0, first, first + count);
  const rowLength = tensor.byteLength / tensor.shape[0]!;
  const offset = tensor.offset + first * rowLength;
  return g.weight({ ...tensor, offset, byteLength: count * rowLength, shape: tensor.shape.with(0, count) });
}

export interface Window {
  stride?: number;
  /** On all sides, or top, left, bottom, right. */
  padding?: number | readonly [number, number, number, number];
  dilation?: number;
  /** Each of as many parts of the channels on its own; as many as there are channels is a depthwise convolution. */
  groups?: number;
}

/** [B, in, H, W], [out, in/groups, h, w] -> [B, out, H', W'] */
export function convolve(g: Graph, x: Value, kernel: Value, bias: Value | undefined, window: Window): Value {
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = window;
  const [batch, inChannels, height, width] = x.dims as [number, number, number, number];
  const [channels, , kernelHeight, kernelWidth] = kernel.dims as [number, number, number, number];
  demand(kernel.dims[1]! * groups === inChannels, 'convolve', x, kernel);
  const [top, left, bottom, right] = typeof padding === 'number' ? new Array<number>(4).fill(padding) : padding;
  const out = (padded: number, size: number): number => Math.floor((padded - dilation * (size - 1) - 1) / stride) + 1;
  const dims = [batch, channels, out(height + top! + bottom!, kernelHeight), out(width + left! + right!, kernelWidth)];
  const attributes = {
    kernel_shape: { integers: [kernelHeight, kernelWidth] },
    strides: { integers: [stride, stride] },
    pads: { integers: [top!, left!, bottom!, right!] },
    dilations: { integers: [dilation, dilation] },
    group: { integer: groups },
  };
  return g.node('Conv', bias ? [x, kernel, bias] : [x, kernel], { dims }, { attributes });
}
