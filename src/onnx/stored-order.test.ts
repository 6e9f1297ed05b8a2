/** Weights whose axes lie in another order in their file, through the layers that read them. */
import { describe, expect, test } from 'vitest';
import { fixture } from '../../test/support/weight-content.ts';
import { float32, sizeOf, type Tensor } from '../math/tensor.ts';
import { openSession } from '../runtime/session.ts';
import { readTensor } from '../weights/read-tensor.ts';
import type { TensorRef } from '../weights/safetensors.ts';
import { weightsOf } from '../weights/scope.ts';
import { readWeightFile } from '../weights/weight-formats.ts';
import { createGraph, type Graph, type Value } from './graph.ts';
import { conv2d, gatedGelu, linear } from './layers.ts';
import { writeModel } from './write.ts';

const tensors = await readWeightFile(fixture('zip.pth'));
const find = (name: string): TensorRef => tensors.get(name)!;
const scope = (entries: Record<string, TensorRef>) => weightsOf(new Map(Object.entries(entries)), 'zip.pth');

/** Runs one layer on a ramp of the given shape. */
async function run(dims: readonly number[], layer: (g: Graph, x: Value) => Value): Promise<Tensor> {
  const g = createGraph('test');
  g.output('y', layer(g, g.input('x', 'float32', dims)));
  const session = await openSession(writeModel(g), 'cpu');
  try {
    const x = float32(
      dims,
      Float32Array.from({ length: sizeOf(dims) }, (_, index) => Math.sin(index)),
    );
    return (await session.run({ x })).y!;
  } finally {
    await session.close();
  }
}

describe('gives what the same weights row by row give:', () => {
  test('a transposed matrix', async () => {
    const actual = await run([2, 5], (g, x) =>
      linear(g, scope({ weight: find('linear.transposed') }), x, 3, { bias: false }),
    );
    const dense = await readTensor(find('linear.transposed'));
    const attributes = { transB: { integer: 1 } };
    const expected = await run([2, 5], (g, x) =>
      g.node('Gemm', [x, g.constant(dense)], { dims: [2, 3] }, { attributes }),
    );
    expect(actual).toEqual(expected);
  });

  test('a convolution with its channels last', async () => {
    const weight = find('channels_last'); // [4, 3, 2, 5]
    const dense = await readTensor(weight);
    const actual = await run([1, 3, 6, 7], (g, x) => {
      const value = g.weight(weight);
      return g.node('Conv', [x, value], { dims: [1, 4, 5, 3] });
    });
    const expected = await run([1, 3, 6, 7], (g, x) => g.node('Conv', [x, g.constant(dense)], { dims: [1, 4, 5, 3] }));
    expect(actual).toEqual(expected);
  });

  test('a transposed matrix whose halves are used apart', async () => {
    const transposed: TensorRef = { ...find('float'), shape: [4, 3], axes: [1, 0] };
    const rows = await readTensor(transposed);
    const bias: TensorRef = { ...find('tied.flat'), shape: [4], byteLength: 16 };
    const actual = await run([2, 3], (g, x) => gatedGelu(g, scope({ weight: transposed, bias }), x, 2));
    const half = (index: number) => float32([2, 3], (rows.data as Float32Array).slice(index * 6, index * 6 + 6));
    const halfBias = async (index: number) =>
      float32([2], ((await readTensor(bias)).data as Float32Array).slice(index * 2, index * 2 + 2));
    const biases = [await halfBias(0), await halfBias(1)];
    const attributes = { transB: { integer: 1 } };
    const expected = await run([2, 3], (g, x) => {
      const gemm = (index: number): Value =>
        g.node('Gemm', [x, g.constant(half(index)), g.constant(biases[index]!)], { dims: [2, 2] }, { attributes });
      const gate = g.node('Gelu', [gemm(1)], { dims: [2, 2] }, { domain: 'com.microsoft' });
      return g.node('Mul', [gemm(0), gate], { dims: [2, 2] });
    });
    expect(actual).toEqual(expected);
  });

  test('a matrix that is read in another shape', async () => {
    const permuted = find('permuted'); // [4, 2, 3]
    const expected = await readTensor(permuted);
    const actual = await run([1], (g, x) => g.node('Add', [g.weight(permuted, [8, 3]), x], { dims: [8, 3] }));
    expect([...actual.data]).toEqual([...expected.data]);
  });
});

test('a weight in its own order costs no node', () => {
  const g = createGraph('test');
  g.weight(find('float'));
  conv2d(
    g,
    scope({ weight: { ...find('float'), shape: [3, 4, 1, 1] }, bias: { ...find('scalar'), shape: [3] } }),
    g.input('x', 'float32', [1, 4, 2, 2]),
    3,
    { kernel: 1 },
  );
  expect(g.nodes.map(({ op }) => op)).toEqual(['Conv']);
});
