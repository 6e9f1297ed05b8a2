import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cpuNormals, cpuUniforms, cudaNormals, wrapSeed } from './random.ts';

interface Stream {
  seed: string;
  residentThreads: number;
  draws: number[][];
}

function streams(name: string): Stream[] {
  return JSON.parse(readFileSync(new URL(`../../test/fixtures/random/${name}.json`, import.meta.url), 'utf8'));
}

function largestDifference(actual: Float32Array, expected: number[]): number {
  expect(actual.length).toBe(expected.length);
  return Math.max(...expected.map((value, index) => Math.abs(value - actual[index]!)));
}

test.each(streams('cpu-normals'))('the CPU stream of seed $seed is torch’s, over seven draws', ({ seed, draws }) => {
  const stream = cpuNormals(BigInt(seed));
  for (const draw of draws) expect(stream.normal(draw.length)).toEqual(Float32Array.from(draw));
});

test.each(streams('cpu-uniforms'))('the uniform CPU stream of seed $seed is torch’s', ({ seed, draws }) => {
  const stream = cpuUniforms(BigInt(seed));
  for (const draw of draws) expect(stream.uniform(draw.length)).toEqual(Float32Array.from(draw));
});

test.each(streams('cuda-normals'))(
  'the CUDA stream of seed $seed on $residentThreads threads goes on over draws',
  ({ seed, residentThreads, draws }) => {
    const stream = cudaNormals(BigInt(seed), residentThreads);
    for (const draw of draws) expect(largestDifference(stream.normal(draw.length), draw)).toBeLessThan(2e-6);
  },
);

// Printed by AUTOMATIC1111/stable-diffusion-webui, `modules/rng_philox.py`, and by torch on a CUDA device.
test('the CUDA stream of seed 0 starts as published', () => {
  const published = [
    -0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564, -0.62285122, -0.32838709, -1.07454231,
    -0.36314407, -1.67105067, 2.26550497,
  ];
  expect(largestDifference(cudaNormals(0).normal(12), published)).toBeLessThan(1e-6);
});

test('up to the number of resident threads, a value depends only on seed, draw and position', () => {
  const small = cudaNormals(7, 512);
  const large = cudaNormals(7);
  for (const count of [512, 100, 1]) expect(small.normal(count)).toEqual(large.normal(count));
  expect(small.normal(513)).not.toEqual(large.normal(513));
});

test('a large draw has mean 0 and variance 1, and shares no value with the next one', () => {
  const stream = cudaNormals(123);
  const first = stream.normal(300_000);
  const mean = first.reduce((sum, value) => sum + value, 0) / first.length;
  const square = first.reduce((sum, value) => sum + value * value, 0) / first.length;
  expect(Math.abs(mean)).toBeLessThan(0.01);
  expect(Math.abs(square - 1)).toBeLessThan(0.01);
  // 300,000 values took two rounds on the A100, so the next draw starts at the third.
  const next = stream.normal(4);
  expect([...next].some((value) => first.includes(value))).toBe(false);
});

test('seeds wrap modulo 2^64, and other values are refused by name', () => {
  expect(wrapSeed(-1)).toBe(2n ** 64n - 1n);
  expect(wrapSeed(-(2n ** 63n))).toBe(2n ** 63n);
  expect(wrapSeed(2n ** 64n - 1n)).toBe(2n ** 64n - 1n);
  for (const seed of [2n ** 64n, -(2n ** 63n) - 1n, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => wrapSeed(seed)).toThrow(expect.objectContaining({ name: 'InputError', field: 'seed' }));
  }
});
