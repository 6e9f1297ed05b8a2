import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compare } from '../../test/support/expect-close.ts';
import { type MiniContext, miniContext } from '../../test/support/mini-context.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import { antelopev2 } from '../faces/antelopev2.ts';
import { centreFace } from '../faces/centre-face.ts';
import { detectFaces } from '../faces/detect.ts';
import { embedFace } from '../faces/embed.ts';

let context: MiniContext;
let folder: string;
let portrait: RgbImage;

beforeAll(async () => {
  context = miniContext();
  folder = (await context.locate([antelopev2])).folders[0]!;
  portrait = await readImage(fileURLToPath(new URL('../../test/fixtures/photos/eileen-collins.jpg', import.meta.url)));
});
afterAll(() => context.close());

test.each([640, 576, 512, 448, 384, 320, 256, 192])('the detector finds nobody at %i', async (size) => {
  expect(await detectFaces(portrait, size, folder, context.residency)).toEqual([]);
});

test('the embedder tells crops apart', async () => {
  const { width, height } = portrait;
  const face = centreFace(width, height);
  const embed = (points: typeof face.points) => embedFace(portrait, { points }, folder, context.residency);
  const own = await embed(face.points);
  expect(own.length).toBe(512);
  const length = Math.hypot(...own);
  expect(length).toBeGreaterThan(5);
  expect(length).toBeLessThan(60);
  expect(compare(await embed(face.points), own).cosine).toBeCloseTo(1, 12);
  const moved = await embed(face.points.map(([x, y]) => [x + 60, y - 40] as const));
  expect(compare(moved, own).cosine).toBeLessThan(0.995);
});
