import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { expectSamePixels } from '../../test/support/expect-same-pixels.ts';
import { readImage } from '../base/image.ts';
import { canny } from './canny.ts';

const fixtures = new URL('../../test/fixtures/images/', import.meta.url);

interface Case {
  input: string;
  output: string;
  low: number;
  high: number;
  edges: number;
}

const cases: Case[] = JSON.parse(readFileSync(new URL('canny.json', fixtures), 'utf8'));

test.each(cases)('$output has OpenCV’s edges', async ({ input, output, low, high, edges }) => {
  const actual = await canny(await readImage(fileURLToPath(new URL(input, fixtures))), low, high);
  const expected = await readImage(fileURLToPath(new URL(output, fixtures)));
  expect(expected.data.filter((value) => value === 255).length).toBe(3 * edges);
  expectSamePixels(actual, expected);
});
