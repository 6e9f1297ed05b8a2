import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { expectSamePixels } from '../../test/support/expect-same-pixels.ts';
import { readImage } from './image.ts';
import { lanczos, resize } from './resize.ts';

const fixtures = new URL('../../test/fixtures/', import.meta.url);

function readJson(name: string) {
  return JSON.parse(readFileSync(new URL(`images/${name}`, fixtures), 'utf8'));
}

function read(path: string) {
  return readImage(fileURLToPath(new URL(path, fixtures)));
}

interface Case {
  input: string;
  output: string;
  width: number;
  height: number;
}

test.each<Case>(readJson('resize.json'))('$output has Pillow’s pixels', async ({ input, output, width, height }) => {
  const resized = resize(await read(`images/${input}`), width, height, lanczos);
  expectSamePixels(resized, await read(`images/${output}`));
});

test('a photograph of full size has Pillow’s pixels', async () => {
  const image = await read('photos/eileen-collins.jpg');
  const { data } = resize(image, 768, 512, lanczos);
  expect(createHash('sha256').update(data).digest('hex')).toBe(readJson('hashes.json').photographAt768x512);
});
