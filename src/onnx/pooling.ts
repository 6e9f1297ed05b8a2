/** The largest element that a window sees at each place of a picture; how TensorFlow lets windows reach over its edge. */
import type { Graph, Value } from './graph.ts';

/** On top, left, bottom, right. */
export type Padding = readonly [number, number, number, number];

/** What is added around the picture is never the largest. [B, C, H, W] -> [B, C, H', W'] */
export function maxPool(
  g: Graph,
  x: Value,
  size: number,
  { stride, padding = [0, 0, 0, 0] }: { stride: number; padding?: Padding },
): Value {
  const [batch, channels, height, width] = x.dims as [number, number, number, number];
  const [top, left, bottom, right] = padding;
  const places = (padded: number): number => Math.floor((padded - size) / stride) + 1;
  const dims = [batch, channels, places(height + top + bottom), places(width + left + right)];
  const attributes = {
    kernel_shape: { integers: [size, size] },
    strides: { integers: [stride, stride] },
    pads: { integers: padding },
  };
  return g.node('MaxPool', [x], { dims }, { attributes });
}

/**
 * TensorFlow's padding "SAME": as many places as strides fit into the picture; of an odd number of pixels, the greater
 * part at the bottom and on the right.
 * https://github.com/huggingface/pytorch-image-models/blob/v0.6.13/timm/models/layers/padding.py#L17-L34
 */
export function samePadding(x: Value, size: number, stride: number): Padding {
  const [, , height, width] = x.dims as [number, number, number, number];
  const total = (length: number): number => Math.max((Math.ceil(length / stride) - 1) * stride + size - length, 0);
  const [vertical, horizontal] = [total(height), total(width)];
  const before = (sum: number): number => Math.floor(sum / 2);
  return [before(vertical), before(horizontal), vertical - before(vertical), horizontal - before(horizontal)];
}
