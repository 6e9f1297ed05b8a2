import { expect, test } from 'vitest';
import { RuntimeFailure } from '../base/errors.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { createGraph } from '../onnx/graph.ts';
import type { OnnxModel } from '../onnx/model.ts';
import { add } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { openSession } from './session.ts';

function sum(type: 'float32' | 'int64' | 'int32' = 'float32'): OnnxModel {
  const g = createGraph('sum');
  g.output('a', add(g, g.input('a', type, [2, 1]), g.input('b', type, [1, 3])));
  return writeModel(g);
}

test('an output may be named as an input is', async () => {
  const session = await openSession(sum(), 'cpu');
  const feeds = { a: float32([2, 1], new Float32Array([1, 2])), b: float32([1, 3], new Float32Array([10, 20, 30])) };
  expect(await session.run(feeds)).toEqual({
    a: { type: 'float32', dims: [2, 3], data: new Float32Array([11, 21, 31, 12, 22, 32]) },
  });
  await session.close();
});

test.each<[string, Record<string, Tensor>, RegExp]>([
  [
    'a shape that is another',
    { a: float32([1, 2]), b: float32([1, 3]) },
    /a is float32 \[2, 1\], given float32 \[1, 2\]/,
  ],
  ['a type that is another', { a: { type: 'uint8', dims: [2, 1], data: new Uint8Array(2) } }, /given uint8 \[2, 1\]/],
  ['a missing feed', { a: float32([2, 1]) }, /b is float32 \[1, 3\], given nothing/],
  ['data that do not fill the shape', { a: { ...float32([2, 1]), data: new Float32Array(5) } }, /do not fit/],
  ['an unknown feed', { a: float32([2, 1]), b: float32([1, 3]), c: float32([1]) }, /unknown: c/],
])('%s is refused, and every input is shown', async (_, feeds, message) => {
  const session = await openSession(sum(), 'cpu');
  const run = session.run(feeds);
  await expect(run).rejects.toThrow(message);
  await expect(run).rejects.toBeInstanceOf(RuntimeFailure);
  await session.close();
});

test('int32 and int64 stand in for each other', async () => {
  const narrow: Tensor = { type: 'int32', dims: [2, 1], data: new Int32Array([1, -2]) };
  const wide: Tensor = { type: 'int64', dims: [1, 3], data: new BigInt64Array([1n, 2n, 3n]) };
  for (const type of ['int64', 'int32'] as const) {
    const session = await openSession(sum(type), 'cpu');
    const { a } = await session.run({ a: narrow, b: wide });
    expect(Array.from(a!.data as ArrayLike<bigint | number>, Number)).toEqual([2, 3, 4, -1, 0, 1]);
    await session.close();
  }
});

test('a model that ONNX Runtime refuses is a failure of the engine, with its reason', async () => {
  const broken = { ...sum(), bytes: new Uint8Array([1, 2, 3]) };
  await expect(openSession(broken, 'cpu')).rejects.toThrow(/could not load a network\. .+/);
  await expect(openSession(broken, 'cpu')).rejects.toBeInstanceOf(RuntimeFailure);
});
