import { describe, expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { float32, sizeOf, type Tensor } from '../math/tensor.ts';
import { openSession } from '../runtime/session.ts';
import { attention } from './attention.ts';
import { createGraph, type Graph, type Value } from './graph.ts';
import { add, concat, multiply, reshape, resizeNearest, slice, transpose } from './ops.ts';
import { writeModel } from './write.ts';

/** Smooth but without symmetry. */
function numbers(dims: readonly number[], phase: number): Tensor<'float32'> {
  return float32(
    dims,
    Float32Array.from({ length: sizeOf(dims) }, (_, index) => Math.sin(index * 0.7 + phase) * 1.5),
  );
}

async function compute(inputs: Record<string, Tensor>, build: (g: Graph, values: Value[]) => Value): Promise<Tensor> {
  const g = createGraph('test');
  g.output(
    'y',
    build(
      g,
      Object.entries(inputs).map(([name, { type, dims }]) => g.input(name, type, dims)),
    ),
  );
  const session = await openSession(writeModel(g), 'cpu');
  const { y } = await session.run(inputs);
  await session.close();
  return y!;
}

/** softmax(q kᵀ / √d + bias) v, one head after the other, in float64. */
function plainAttention(q: Tensor, k: Tensor, v: Tensor, batch: number, heads: number, causal: boolean): number[] {
  const [queryRows, width] = q.dims as [number, number];
  const rows = queryRows / batch;
  const length = k.dims[0]! / batch;
  const size = width / heads;
  const at = (x: Tensor, b: number, perBatch: number, row: number, head: number, index: number): number =>
    Number(x.data[(b * perBatch + row) * width + head * size + index]);
  const result = new Array<number>(queryRows * width).fill(0);
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < rows; row++) {
        const scores = Array.from({ length: causal ? row + 1 : length }, (_, column) => {
          let score = 0;
          for (let i = 0; i < size; i++) score += at(q, b, rows, row, head, i) * at(k, b, length, column, head, i);
          return Math.exp(score / Math.sqrt(size));
        });
        const sum = scores.reduce((total, score) => total + score, 0);
        for (let i = 0; i < size; i++) {
          const mixed = scores.reduce((total, score, column) => total + score * at(v, b, length, column, head, i), 0);
          result[(b * rows + row) * width + head * size + i] = mixed / sum;
        }
      }
    }
  }
  return result;
}

// A provider's attention kernel may be wrong without an error, depending on sizes: these are the sizes of SD 1.5's
// heads, of its text, and of pictures that are no multiple of a kernel's block.
describe('attention is that of the definition', () => {
  test.each([
    { heads: 8, size: 40, rows: 300, length: 300, causal: false },
    { heads: 8, size: 160, rows: 65, length: 65, causal: false },
    { heads: 8, size: 40, rows: 130, length: 77, causal: false },
    { heads: 2, size: 8, rows: 70, length: 77, causal: false },
    { heads: 1, size: 512, rows: 150, length: 150, causal: false },
    { heads: 12, size: 64, rows: 77, length: 77, causal: true },
    { heads: 3, size: 5, rows: 1, length: 7, causal: false },
  ])(
    '$heads heads of $size, $rows rows, $length keys, causal $causal',
    async ({ heads, size, rows, length, causal }) => {
      const batch = 2;
      const q = numbers([batch * rows, heads * size], 0);
      const k = numbers([batch * length, heads * size], 1);
      const v = numbers([batch * length, heads * size], 2);
      const y = await compute({ q, k, v }, (g, [query, key, value]) => {
        if (!causal) return attention(g, query!, key!, value!, { batch, heads });
        const mask = float32([1, 1, rows, rows]);
        mask.data.forEach((_, index) => {
          if (index % rows > Math.floor(index / rows)) mask.data[index] = -3.4028234663852886e38;
        });
        return attention(g, query!, key!, value!, { batch, heads, bias: g.constant(mask) });
      });
      expectClose(y.data as Float32Array, plainAttention(q, k, v, batch, heads, causal), { relL2: 2e-6 });
    },
  );
});

test('nearest resizing takes the pixel at floor(index * old / new)', async () => {
  const x = numbers([1, 2, 5, 3], 0);
  const y = await compute({ x }, (g, [value]) => resizeNearest(g, value!, 9, 7));
  const expected = Array.from({ length: 2 * 9 * 7 }, (_, index) => {
    const [channel, row, column] = [Math.floor(index / 63), Math.floor((index % 63) / 7), index % 7];
    return x.data[channel * 15 + Math.floor((row * 5) / 9) * 3 + Math.floor((column * 3) / 7)]!;
  });
  expect(Array.from(y.data as Float32Array)).toEqual(expected);
});

test('slices, joins and turns', async () => {
  const x = float32([2, 3], new Float32Array([1, 2, 3, 4, 5, 6]));
  const y = await compute({ x }, (g, [value]) => {
    const turned = transpose(g, value!, [1, 0]);
    return concat(g, [slice(g, turned, 0, 2, 3), slice(g, turned, 0, 0, 2)], 0);
  });
  expect(y).toEqual(float32([3, 2], new Float32Array([3, 6, 1, 4, 2, 5])));
});

describe('shapes that do not fit are refused while the graph is built', () => {
  const g = createGraph('test');
  const x = g.input('x', 'float32', [2, 3]);
  const y = g.input('y', 'float32', [4, 3]);
  test.each([
    ['add', () => add(g, x, y), /add cannot take float32 \[2, 3\] and float32 \[4, 3\]/],
    ['multiply', () => multiply(g, x, y), /multiply cannot take/],
    ['concat', () => concat(g, [x, y], 1), /concat cannot take/],
    ['reshape', () => reshape(g, x, [7]), /float32 \[2, 3\] cannot become \[7\]/],
    ['transpose', () => transpose(g, x, [0, 2, 1]), /transpose cannot take/],
    ['slice', () => slice(g, x, 1, 2, 4), /slice 2 to 4 of axis 1/],
    ['attention', () => attention(g, x, x, x, { batch: 1, heads: 2 }), /attention cannot take/],
  ])('%s', (_, build, message) => expect(build).toThrow(message));
});

test('equal constants are stored once', () => {
  const g = createGraph('test');
  const x = g.input('x', 'float32', [2, 3]);
  reshape(g, reshape(g, x, [6]), [2, 3]);
  reshape(g, x, [6]);
  expect(g.initializers).toHaveLength(2);
});
