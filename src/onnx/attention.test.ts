import { expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { float32, sizeOf, type Tensor } from '../math/tensor.ts';
import { openSession } from '../runtime/session.ts';
import { type AttentionOptions, attention } from './attention.ts';
import { createGraph, type Way } from './graph.ts';
import { writeModel } from './write.ts';

/** Smooth but without symmetry. */
function numbers(dims: readonly number[], phase: number): Tensor<'float32'> {
  return float32(
    dims,
    Float32Array.from({ length: sizeOf(dims) }, (_, index) => Math.sin(index * 0.7 + phase) * 1.5),
  );
}

interface Example {
  heads: number;
  size: number;
  rows: number;
  length: number;
  causal?: boolean;
}

const batch = 2;

function inputsOf({ heads, size, rows, length }: Example): Record<'q' | 'k' | 'v', Tensor> {
  return {
    q: numbers([batch * rows, heads * size], 0),
    k: numbers([batch * length, heads * size], 1),
    v: numbers([batch * length, heads * size], 2),
  };
}

async function compute(example: Example, way: Way): Promise<Float32Array> {
  const inputs = inputsOf(example);
  const g = createGraph('test');
  const options: AttentionOptions = { batch, heads: example.heads };
  if (example.causal) options.bias = g.constant(causalMask(example.rows));
  const [query, key, value] = Object.entries(inputs).map(([name, { type, dims }]) => g.input(name, type, dims));
  g.output('y', attention(g, query!, key!, value!, options));
  const model = writeModel(g);
  const session = await openSession(way === 'basic' ? { ...model, bytes: model.basicBytes() } : model, 'cpu');
  const { y } = await session.run(inputs);
  await session.close();
  return y!.data as Float32Array;
}

function causalMask(rows: number): Tensor {
  const mask = float32([1, 1, rows, rows]);
  mask.data.forEach((_, index) => {
    if (index % rows > Math.floor(index / rows)) mask.data[index] = -3.4028234663852886e38;
  });
  return mask;
}

/** softmax(q kᵀ / √d + bias) v, one head after the other, in float64. */
function plainAttention(q: Tensor, k: Tensor, v: Tensor, heads: number, causal: boolean): number[] {
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

// A provider's kernel may be wrong without an error, depending on sizes: these are the sizes of SD 1.5's heads, of its
// text, and of pictures that are no multiple of a kernel's block.
const examples: Example[] = [
  { heads: 8, size: 40, rows: 300, length: 300 },
  { heads: 8, size: 160, rows: 65, length: 65 },
  { heads: 8, size: 40, rows: 130, length: 77 },
  { heads: 2, size: 8, rows: 70, length: 77 },
  { heads: 1, size: 512, rows: 150, length: 150 },
  { heads: 12, size: 64, rows: 77, length: 77, causal: true },
  { heads: 3, size: 5, rows: 1, length: 7 },
];

test.each(examples)('$heads heads of $size, $rows rows, $length keys', async (example) => {
  const { q, k, v } = inputsOf(example);
  const expected = plainAttention(q, k, v, example.heads, example.causal ?? false);
  for (const way of ['fused', 'basic'] as const) {
    expectClose(await compute(example, way), expected, { relL2: 2e-6 });
  }
});

test('scores too large for one buffer are computed in parts, the last one smaller', async () => {
  const large = { heads: 4, size: 4, rows: 2501, length: 2500 }; // 200 MB
  expectClose(await compute(large, 'basic'), await compute(large, 'fused'), { relL2: 2e-6 });
});

test('shapes that do not fit are refused while the graph is built', () => {
  const g = createGraph('test');
  const x = g.input('x', 'float32', [2, 3]);
  expect(() => attention(g, x, x, x, { batch: 1, heads: 2 })).toThrow(/attention cannot take float32 \[2, 3\]/);
});
