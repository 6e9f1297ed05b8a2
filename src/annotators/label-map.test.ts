import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readImage } from '../base/image.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { labelPixels, type Size } from './label-map.ts';

const fixtures = new URL('../../test/fixtures/annotators/seg/', import.meta.url);

interface MadeUp {
  labels: number;
  height: number;
  width: number;
  /** How many values there are: few make ties. */
  steps: number;
}

interface Case extends MadeUp {
  to: Size;
  output: string;
}

const cases: Case[] = JSON.parse(readFileSync(new URL('labels.json', fixtures), 'utf8'));

/** As tools/reference/annotators_seg.py makes them. */
function madeUpLogits({ labels, height, width, steps }: MadeUp): Tensor<'float32'> {
  const values = Float32Array.from({ length: labels * height * width }, (_, index) => {
    const mixed = Math.imul(index + 5, 2654435761) >>> 0;
    return ((Math.imul(mixed ^ (mixed >>> 15), 2246822519) >>> 16) % steps) / 8;
  });
  return float32([1, labels, height, width], values);
}

test.each(cases)('labels at $to.width × $to.height, of logits of $steps values', async (found) => {
  const middle = { width: 4 * found.width, height: 4 * found.height };
  const actual = labelPixels(madeUpLogits(found), middle, found.to);
  const { data } = await readImage(fileURLToPath(new URL(found.output, fixtures)));
  expect(actual).toEqual(Uint8Array.from(actual, (_, pixel) => data[pixel * 3]!));
});

test('a large picture takes little more memory than its labels', () => {
  const logits = madeUpLogits({ labels: 150, height: 16, width: 16, steps: 4096 });
  const before = process.memoryUsage().arrayBuffers;
  const labels = labelPixels(logits, { width: 64, height: 64 }, { width: 10_000, height: 500 });
  expect(labels.length).toBe(5_000_000);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20e6);
});
