/** Against the checker and the feature extractor of the reference: test/fixtures/safety/. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import type { Tensor } from '../math/tensor.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { createResidency } from '../runtime/residency.ts';
import { clipPixels, clipPixelsConfig } from './clip-pixels.ts';
import { blackenUnsafe } from './safety.ts';

const fixtures = new URL('../../test/fixtures/', import.meta.url);
const path = (name: string): string => fileURLToPath(new URL(name, fixtures));
const recorded = JSON.parse(readFileSync(path('safety/case.json'), 'utf8')) as {
  preprocessor: object;
  unsafe: Record<string, boolean>;
};
const expected = (await readTensors(path('safety/pixels.safetensors'))) as Record<string, Tensor<'float32'>>;
const names = Object.keys(recorded.unsafe);
const read = (name: string): Promise<RgbImage> => readImage(path(`safety/${name}.png`));

/** The pixels are equal; the reference divides and subtracts in float32, here it is rounded once. */
const tolerance = { relL2: 2e-7 };

test.each(names)('%s becomes the same pixels for CLIP', async (name) => {
  const pixels = clipPixels(await read(name), clipPixelsConfig(recorded.preprocessor));
  expect(pixels.dims).toEqual(expected[name]!.dims);
  expectClose(pixels.data as Float32Array, expected[name]!.data, tolerance);
});

test('a photograph at the published size becomes the same pixels', async () => {
  const photo = await readImage(path('photos/eileen-collins.jpg'));
  const strip: RgbImage = { ...photo, height: 320, data: photo.data.slice(0, 320 * photo.width * 3) };
  const pixels = clipPixels(strip, clipPixelsConfig({}));
  expect(pixels.dims).toEqual([1, 3, 224, 224]);
  const every7th = (pixels.data as Float32Array).filter(
    (_, index) => (index % 224) % 7 === 0 && (Math.floor(index / 224) % 224) % 7 === 0,
  );
  expectClose(every7th, expected.photograph!.data, tolerance);
});

test('sizes are read in both forms, and what cannot be done is refused', () => {
  const published = { size: 224, crop_size: 224, resample: 3, do_resize: true, feature_extractor_type: 'CLIP…' };
  const later = { size: { shortest_edge: 224 }, crop_size: { height: 224, width: 224 } };
  expect(clipPixelsConfig(published)).toEqual(clipPixelsConfig(later));
  for (const wrong of [{ resample: 2 }, { crop_size: { height: 9, width: 8 } }, { size: 32 }, { image_mean: [1] }]) {
    expect(() => clipPixelsConfig(wrong)).toThrow(/config\.json sets/);
  }
});

test('what the reference finds unsafe becomes black, and the log says so once', async () => {
  const residency = createResidency({ device: 'cpu' });
  const pictures = await Promise.all(names.map(read));
  const lines: string[] = [];
  async function* decoded(): AsyncGenerator<RgbImage> {
    yield* pictures;
  }
  const folder = path('pipelines/controlnet-weights/runwayml/stable-diffusion-v1-5');
  const returned: RgbImage[] = [];
  const log = (line: string): void => void lines.push(line);
  for await (const picture of blackenUnsafe(residency, folder, decoded(), log)) returned.push(picture);
  await residency.close();

  expect(returned).toHaveLength(names.length);
  for (const [index, name] of names.entries()) {
    const black = { ...pictures[index]!, data: new Uint8Array(pictures[index]!.data.length) };
    expect(returned[index], name).toEqual(recorded.unsafe[name] ? black : pictures[index]);
  }
  expect(lines).toEqual([
    'Potential NSFW content was detected in one or more images. A black image will be returned instead. Try again ' +
      'with a different prompt and/or seed.',
  ]);
});
