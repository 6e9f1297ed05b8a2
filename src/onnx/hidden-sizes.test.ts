import { expect, test } from 'vitest';
import { createGraph } from './graph.ts';
import { hideSizes, zeroInput } from './hidden-sizes.ts';
import { add, reshape, scale } from './ops.ts';

const stored = (axes?: readonly number[]) =>
  ({ name: 'w', file: '/w', offset: 0, byteLength: 24, dtype: 'F32', shape: [2, 3], ...(axes && { axes }) }) as const;

test('values are reshaped to what the run computes, and equal shapes are computed once', () => {
  const g = createGraph('values');
  const x = reshape(g, g.input('x', 'float32', [2, 3]), [6]);
  g.output('y', reshape(g, scale(g, reshape(g, x, [2, 3]), 2), [6]));
  const { nodes, inputs } = hideSizes(g, g.nodes);
  expect(inputs).toEqual([zeroInput]);
  expect(nodes.map(({ op }) => op)).toEqual(['Add', 'Add', 'Reshape', 'Reshape', 'Mul', 'Reshape']);
  const sums = nodes.filter(({ op }) => op === 'Add').map(({ output }) => output);
  const shapes = nodes.filter(({ op }) => op === 'Reshape').map(({ inputs: [, shape] }) => shape);
  expect(shapes).toEqual([sums[0], sums[1], sums[0]]);
});

test('a weight is reshaped when the network is loaded, and without a reshaped value there is no input', () => {
  const g = createGraph('weights');
  const weight = g.weight(stored([1, 0]), [6]);
  g.output('y', add(g, g.input('x', 'float32', [6]), weight));
  expect(g.nodes.map(({ op }) => op)).toContain('Reshape');
  expect(hideSizes(g, g.nodes)).toEqual({ nodes: g.nodes, inputs: [] });
});
