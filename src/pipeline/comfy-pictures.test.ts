/** Against torch and ComfyUI's nodes: test/fixtures/face-to-many/. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { RgbImage } from '../base/image.ts';
import { sourcePlaces } from '../base/nearest.ts';
import { strangersEmbedding } from '../faces/strangers-embedding.ts';
import { type FaceToManyStyle, styledPrompts } from '../text/face-to-many-styles.ts';
import { cropToMultiple, fitInto, hintPicture } from './comfy-pictures.ts';

interface Stages {
  places: { length: number; count: number; rule: 'nearest' | 'nearest-exact'; places: number[] }[];
  sizes: { size: [number, number]; resized_and_cropped: [[number, number], [number, number]] }[];
  strangers: { embedding: number[]; seed: number; noise: number[] }[];
  prompts: { style: FaceToManyStyle; prompt: string; negative_prompt: string; styled: [string, string] }[];
}
const stages: Stages = JSON.parse(
  readFileSync(new URL('../../test/fixtures/face-to-many/stages.json', import.meta.url), 'utf8'),
);

/** Every pixel another one, up to 2^24. */
function numbered(width: number, height: number): RgbImage {
  const data = new Uint8Array(3 * width * height);
  for (let pixel = 0; pixel < width * height; pixel++) data.set([pixel >> 16, pixel >> 8, pixel], 3 * pixel);
  return { width, height, channels: 3, data };
}

test.each(stages.places)('$rule: of $length pixels the $count of torch', ({ length, count, rule, places }) => {
  expect([...sourcePlaces(length, count, rule)]).toEqual(places);
});

test.each(stages.sizes)('$size is resized and cropped as by the nodes', ({ size, resized_and_cropped }) => {
  const [width, height] = size;
  const resized = fitInto({ width, height, channels: 3, data: new Uint8Array(3 * width * height) }, 1024, 'image');
  const cropped = cropToMultiple(resized, 8);
  expect([resized, cropped].map((picture) => [picture.width, picture.height])).toEqual(resized_and_cropped);
});

test.each([
  [401, 100],
  [10_000, 50],
  [1, 5],
])('a strip of %i × %i is refused by name', (width, height) => {
  const message = `image is ${width}×${height}; its longer side may be at most 4 times the shorter. Crop it to the person.`;
  expect(() => fitInto(numbered(width, height), 1024, 'image')).toThrow(message);
});

test('the middle is cut out, one pixel more off the end than off the start', () => {
  const { width, height, data } = cropToMultiple(numbered(19, 13), 8);
  expect([width, height]).toEqual([16, 8]);
  expect(data[2]).toBe(2 * 19 + 1);
});

test('a hint shows the middle in the proportion of the latents', () => {
  // 20 × 12 for 16 × 8: round(0.8) rows go above and below, and the rest is squeezed.
  const hint = hintPicture(numbered(20, 12), { width: 16, height: 8 });
  expect([hint.width, hint.height]).toEqual([16, 8]);
  const first = hint.data[2]!;
  expect(Math.floor(first / 20)).toBe(1);
  expect(first % 20).toBe(0);
});

test.each(stages.strangers)('noise of seed $seed stands for nobody', ({ embedding, noise }) => {
  expect([...strangersEmbedding(Float32Array.from(embedding))]).toEqual(noise.map(Math.fround));
});

test.each(stages.prompts)('$style around "$prompt" and "$negative_prompt"', ({ style, styled, ...own }) => {
  const { prompt, negativePrompt } = styledPrompts(style, own.prompt, own.negative_prompt);
  expect([prompt, negativePrompt]).toEqual(styled);
});
