import { expect, test } from 'vitest';
import { createGraph } from './graph.ts';
import { memoryNeed } from './memory.ts';
import { add, concat, reshape, scale } from './ops.ts';

const tensor = (name: string, offset: number) =>
  ({ name, file: '/weights', offset, byteLength: 4000, dtype: 'F32', shape: [1000] }) as const;

test('a value counts until its last use, a reshaped one as what it is made of', () => {
  const g = createGraph('memory');
  const x = g.input('x', 'float32', [1000]);
  const a = scale(g, x, 2); // a
  const b = scale(g, a, 3); // a b
  const c = reshape(g, b, [10, 100]); // a, b under two names
  const d = add(g, a, b); // a b d; then only b stays, for c
  g.output('d', concat(g, [c, c, scale(g, reshape(g, d, [10, 100]), 5)], 0)); // b d, scaled; b, scaled, joined
  expect(memoryNeed(g)).toEqual({ weights: 0, working: 4000 + 4000 + 12_000 });
});

test('weights count once, however often they are used', () => {
  const g = createGraph('weights');
  const [one, two] = [tensor('one', 0), tensor('two', 4000)];
  g.output('y', add(g, add(g, g.weight(one), g.weight(two)), g.weight(one)));
  expect(memoryNeed(g)).toEqual({ weights: 8000, working: 8000 });
});
