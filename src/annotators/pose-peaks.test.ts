import { expect, test } from 'vitest';
import type { Raster } from '../base/raster.ts';
import { findPeaks } from './pose-peaks.ts';
import { connect } from './pose-people.ts';

function map(width: number, height: number, value = 0): Raster<Float32Array> {
  return { width, height, channels: 1, data: new Float32Array(width * height).fill(value) };
}

test('peaks lie also in corners and on edges', () => {
  const heat = map(40, 31);
  for (const [x, y] of [
    [0, 0],
    [39, 30],
    [17, 0],
    [39, 11],
  ] as const)
    heat.data[y * 40 + x] = 9;
  expect(findPeaks(heat)).toEqual([
    { x: 0, y: 0, score: 9 },
    { x: 17, y: 0, score: 9 },
    { x: 39, y: 11, score: 9 },
    { x: 39, y: 30, score: 9 },
  ]);
  heat.data[5 * 40 + 5] = Number.NaN;
  const unspoilt = findPeaks(heat).map(({ x, y }) => [x, y]);
  expect(unspoilt).toEqual([
    [39, 11],
    [39, 30],
  ]);
});

test('a flat map has a thousand peaks and not one for each pixel, and what follows ends soon', () => {
  const flat = findPeaks(map(500, 400, 0.5));
  expect(flat).toHaveLength(1000);
  expect(connect(flat, flat, { across: map(500, 400, 1), down: map(500, 400, 1) }).length).toBeGreaterThan(500);
});
