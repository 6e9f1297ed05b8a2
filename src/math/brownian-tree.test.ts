import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { brownianNoise, brownianTree } from './brownian-tree.ts';
import { cpuNormals, cudaNormals } from './random.ts';

interface Tree {
  device: 'cpu' | 'cuda';
  seed: string;
  count: number;
  start: number;
  end: number;
  queries: [number, number][];
  increments: number[][];
}

const trees: Tree[] = JSON.parse(
  readFileSync(new URL('../../test/fixtures/schedulers/brownian-tree.json', import.meta.url), 'utf8'),
);
const streams = { cpu: cpuNormals, cuda: cudaNormals };

function plant({ seed, device, ...options }: Omit<Tree, 'queries' | 'increments'>) {
  return brownianTree({ ...options, seed: BigInt(seed), normals: streams[device] });
}

function largestDifference(actual: Float32Array, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  return Math.max(...actual.map((value, index) => Math.abs(value - expected[index]!)));
}

test.each(trees)('increments of seed $seed on $device are torchsde’s', ({ queries, increments, ...options }) => {
  const tree = plant(options);
  for (const [index, [from, to]] of queries.entries()) {
    const expected = Float32Array.from(increments[index]!);
    if (options.device === 'cpu') expect(tree(from, to), `from ${from} to ${to}`).toEqual(expected);
    // Measured 9.6e-7: the fixture's CUDA stream is computed in float64.
    else expect(largestDifference(tree(from, to), expected), `from ${from} to ${to}`).toBeLessThan(2e-6);
  }
});

test('an answer does not depend on what was asked before', () => {
  const [{ queries, increments: _, ...options }] = trees as [Tree];
  const tree = plant(options);
  for (const [from, to] of queries.toReversed()) expect(tree(from, to)).toEqual(plant(options)(from, to));
});

test('increments of neighbours add up', () => {
  const [options] = trees as [Tree];
  const tree = plant(options);
  const [first, second] = [tree(0.3, 1.7), tree(1.7, 9.2)];
  const sum = first.map((value, index) => value + second[index]!);
  expect(largestDifference(tree(0.3, 9.2), sum)).toBeLessThan(1e-5);
});

test('increments have the variance of their time', () => {
  const count = 20_000;
  const tree = brownianTree({ start: 0.03, end: 14.6, seed: 11, count, normals: cudaNormals });
  for (const [from, to] of [
    [0.1, 0.4],
    [2, 11],
  ] as const) {
    const square = tree(from, to).reduce((sum, value) => sum + value * value, 0) / count;
    expect(Math.abs(square / (to - from) - 1)).toBeLessThan(0.05);
  }
});

// The published values of the face-to-many original's noise: ladder of denoise 0.65, tree on a CUDA device.
test.each([
  [0, [-0.97983, 0.10869, -1.27458, -0.84466], [1.1177, -1.34706, -0.89489, -0.30983]],
  [1234, [-1.84342, 0.86011, -0.00921, -0.60288], [2.44092, -0.39798, 0.42626, 0.26813]],
])('the noise of seed %i is known', (seed, first, second) => {
  const tree = brownianTree({ start: 0.0291671585, end: 2.7600765228, seed, count: 4, normals: cudaNormals });
  const noise = brownianNoise(tree);
  expect(largestDifference(noise(2.7600765228, 2.232154), first)).toBeLessThan(0.02);
  expect(largestDifference(noise(2.232154, 1.793262), second)).toBeLessThan(0.02);
});
