import { describe, expect, test } from 'vitest';
import { float32, sizeOf, type Tensor } from '../math/tensor.ts';
import { openSession } from '../runtime/session.ts';
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
  ])('%s', (_, build, message) => expect(build).toThrow(message));
});

test('equal constants are stored once', () => {
  const g = createGraph('test');
  const x = g.input('x', 'float32', [2, 3]);
  reshape(g, reshape(g, x, [6]), [2, 3]);
  reshape(g, x, [6]);
  expect(g.initializers).toHaveLength(2);
});
