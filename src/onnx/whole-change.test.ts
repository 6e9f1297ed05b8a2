import { expect, test } from 'vitest';
import { createGraph } from './graph.ts';
import { changedWeights, type LayerShape } from './whole-change.ts';

const stored = (name: string, shape: readonly number[]) =>
  ({ name, file: '/lora', offset: 0, byteLength: 4 * shape.reduce((a, b) => a * b, 1), dtype: 'F32', shape }) as const;

const dora = (inside: number, kernel: readonly number[]) => ({
  form: { kind: 'lora', up: stored('up', [5, 2]), down: stored('down', [2, inside, ...kernel]) } as const,
  factor: 1,
  magnitudes: stored('magnitudes', [1, inside, ...kernel.map(() => 1)]),
  scale: 'lora_scale.0',
});

test.each<{ shape: LayerShape; kernel: number[]; reshapes: number }>([
  { shape: [5, 3], kernel: [], reshapes: 0 },
  { shape: [5, 3, 3], kernel: [3, 3], reshapes: 4 },
])(
  'a DoRA of weights [$shape] takes no more nodes than it has to: each is time to load',
  ({ shape, kernel, reshapes }) => {
    const g = createGraph('dora');
    g.input('lora_scale.0', 'float32', [1]);
    const weights = g.input('weights', 'float32', [5, 3 * kernel.reduce((a, b) => a * b, 1)]);
    expect(changedWeights(g, weights, dora(3, kernel), shape).dims).toEqual(weights.dims);
    const operations = g.nodes.map(({ op }) => op);
    expect(operations.filter((op) => op === 'Reshape')).toHaveLength(reshapes);
    expect(operations.filter((op) => op !== 'Reshape')).toEqual([
      ...['Mul', 'Gemm'],
      ...['Mul', 'ReduceSum', ...(kernel.length > 0 ? ['ReduceSum'] : []), 'Sqrt', 'Div', 'Mul'],
    ]);
  },
);
