import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { float32, type Tensor } from '../math/tensor.ts';
import { findLineSegments } from './line-segments.ts';

interface Case {
  kind: 'ties' | 'few';
  height: number;
  width: number;
  lines: [number, number, number, number][];
}

const cases: Case[] = JSON.parse(
  readFileSync(new URL('../../test/fixtures/annotators/hough/lines.json', import.meta.url), 'utf8'),
);

/** Whole numbers without order, as tools/reference/annotators_mlsd.py makes them. */
function scattered(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const mixed = Math.imul(index + seed, 2654435761) >>> 0;
    return Math.imul(mixed ^ (mixed >>> 15), 2246822519) >>> 16;
  });
}

function madeUpMaps({ kind, height, width }: Case): Tensor<'float32'> {
  const size = height * width;
  const stands = scattered(size, 2);
  const scores = scattered(size, 1).map((number, index) => {
    if (kind === 'ties') return (number % 8) / 2 - 2;
    return number % 301 === 0 ? (stands[index]! % 40) / 8 - 4 : -9;
  });
  const offsets = [0, 1, 2, 3].map((channel) => scattered(size, 3 + channel).map((number) => (number % 161) / 8 - 10));
  if (kind === 'few') {
    for (const [index, number] of scattered(size, 9).entries()) {
      if (number % 3 > 0) continue;
      for (const pair of [0, 1]) offsets[2 + pair]![index] = offsets[pair]![index]! + 0.0625;
    }
  }
  return float32([1, 5, height, width], Float32Array.from([scores, ...offsets].flat()));
}

test.each(cases)('the segments of $height × $width maps, $kind', (found) => {
  const segments = findLineSegments(madeUpMaps(found)).map(({ from, to }) => [from.x, from.y, to.x, to.y]);
  const sorted = (lines: readonly number[][]): string[] => lines.map((line) => line.join(' ')).toSorted();
  expect(found.lines.length).toBe(found.kind === 'ties' ? 200 : 28);
  expect(sorted(segments)).toEqual(sorted(found.lines));
});

test('maps without a centre have no segments', () => {
  const maps = float32([1, 9, 8, 8]);
  maps.data.fill(-20, 0, 64);
  expect(findLineSegments(maps)).toEqual([]);
});

test('maps of fewer pixels than the limit', () => {
  // One centre in the corner; all else is far below the threshold.
  const maps = float32([1, 5, 2, 3]);
  maps.data.fill(-20, 0, 6);
  maps.data[0] = 3;
  maps.data[4 * 6] = -1.5;
  expect(findLineSegments(maps)).toEqual([{ from: { x: 0, y: 0 }, to: { x: 0, y: -3 } }]);
});

test.each([1e10, Number.NEGATIVE_INFINITY, Number.NaN])('ends at %d are left out', (offset) => {
  const maps = float32([1, 5, 2, 3]);
  maps.data.fill(-20, 1, 6);
  maps.data[4 * 6] = offset;
  expect(findLineSegments(maps)).toEqual([]);
});
