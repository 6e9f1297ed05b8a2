import { expect, test } from 'vitest';
import { latentsToPicture, stableDiffusionColours, stableDiffusionXlColours, stepWithPreview } from './preview.ts';

/** [4, frames, height, width], from the four values of each place. */
function latentsOf(places: readonly (readonly number[])[]): Float32Array {
  return Float32Array.from([0, 1, 2, 3].flatMap((channel) => places.map((values) => values[channel]!)));
}

test('each pixel by the four numbers of its place', () => {
  const latents = latentsOf([
    [0, 0, 0, 0],
    [1, 0, 0, 0],
    [0, -1, 0, 0],
    [0, 0, 1, 1],
    [-1, 1, 0, -1],
    [0.5, 0.5, 0.5, -0.5],
  ]);
  const { width, height, data } = latentsToPicture(latents, stableDiffusionColours, { width: 3, height: 2 });
  expect([width, height]).toEqual([3, 2]);
  const byte = (value: number) => Math.round(127.5 + 127.5 * value);
  const [red, green, blue] = [0, 1, 2].map((colour) => data.filter((_, index) => index % 3 === colour));
  expect([...red!]).toEqual([0, 0.298, -0.187, -0.342, 0.073, 0.2555].map(byte));
  expect([...green!]).toEqual([0, 0.207, -0.286, -0.082, 0.35, 0.4765].map(byte));
  expect([...blue!]).toEqual([0, 0.208, -0.173, -0.209, 0.438, 0.559].map(byte));
});

test('SDXL: bytes cut at black and white', () => {
  const latents = latentsOf([
    [0, 0, 0, 0],
    [0.5, 0, -1, 0],
    [-1, 1, -0.8, 1],
    [1, -1, 0.8, -1],
  ]);
  const { data } = latentsToPicture(latents, stableDiffusionXlColours, { width: 4, height: 1 });
  expect([...data]).toEqual([150, 140, 130, 155, 155, 165, 0, 13, 49, 255, 255, 211]);
});

test('the first frame of a film, the first picture of a batch', () => {
  const film = latentsOf([
    [0.2, 0, 0, 0],
    [0, 0.4, 0, 0],
    [9, 9, 9, 9],
    [9, 9, 9, 9],
  ]);
  const picture = latentsToPicture(film, stableDiffusionColours, { width: 2, height: 1, frames: 2 });
  const alone = latentsToPicture(
    latentsOf([
      [0.2, 0, 0, 0],
      [0, 0.4, 0, 0],
    ]),
    stableDiffusionColours,
    { width: 2, height: 1 },
  );
  expect(picture).toEqual(alone);
});

test('latents that grow with the noise look as those of unit variance', () => {
  const unit = latentsOf([
    [1, -1, 1, 1],
    [-1, 1, 1, -1],
  ]);
  const size = { width: 2, height: 1 };
  const noisy = unit.map((value) => value * 14.6);
  expect(latentsToPicture(noisy, stableDiffusionColours, size)).toEqual(
    latentsToPicture(unit, stableDiffusionColours, size),
  );
});

test('a step is reported whether or not anybody watches', () => {
  const seen: unknown[] = [];
  const context = { step: (...step: number[]) => seen.push(step), preview: () => {} };
  stepWithPreview(context, stableDiffusionColours, { width: 1, height: 1 })(3, 8, new Float32Array(4));
  expect(seen).toEqual([[3, 8]]);
});
