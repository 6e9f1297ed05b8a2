/** On the small networks of test/fixtures/faces/, which find faces at some sizes and not at others. */
import { afterAll, expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { facePath, makePicture, type Recipe } from '../../test/support/face-fixtures.ts';
import { createResidency } from '../runtime/residency.ts';
import { centreFace } from './centre-face.ts';
import { widestLowestFace } from './choose.ts';
import { detectFaces } from './detect.ts';
import { embedFace } from './embed.ts';
import { identityOf } from './identity.ts';
import { drawKeyPoints } from './key-points.ts';

const residency = createResidency({ device: 'cpu' });
afterAll(() => residency.close());
const folder = facePath('antelopev2');

async function identify(recipe: Recipe, set: 'mini' | 'full' = 'full') {
  const lines: string[] = [];
  const picture = await makePicture(recipe);
  const identity = await identityOf(picture, { set, folder }, { log: (line) => lines.push(line), residency });
  return { picture, identity, lines };
}

const nobody: Recipe = { photo: 'eileen-collins.jpg', every: 14 };

test.each<[number, Recipe]>([
  [640, { photo: 'eileen-collins.jpg' }],
  [512, { photo: 'eileen-collins.jpg', crop: [40, 200, 331, 280], every: 14 }],
  [384, { photo: 'cat.jpg', every: 20 }],
  [192, { photo: 'eileen-collins.jpg', crop: [0, 120, 512, 380], every: 11 }],
])('the first size at which there is a face is %i', async (size, recipe) => {
  const { picture, identity, lines } = await identify(recipe);
  const { points } = widestLowestFace(await detectFaces(picture, size, folder, residency));
  expectClose(identity.embedding, await embedFace(picture, { points }, folder, residency), { relL2: 0 });
  expect(identity.keyPoints).toEqual(await drawKeyPoints(points, picture.width, picture.height));
  const [licence, ...others] = lines;
  expect(licence).toContain('non-commercial research only');
  const lowered = `INFO: InsightFace detection resolution lowered to (${size}, ${size}).`;
  expect(others).toEqual(size === 640 ? [] : [lowered, lowered]);
});

test('without a face there is an error that names the input', async () => {
  await expect(identify(nobody)).rejects.toMatchObject({ name: 'InputError', field: 'image' });
});

test('where the mini set finds nobody a face in the middle is taken, and the log says so', async () => {
  const { picture, identity, lines } = await identify(nobody, 'mini');
  const { points } = centreFace(picture.width, picture.height);
  expectClose(identity.embedding, await embedFace(picture, { points }, folder, residency), { relL2: 0 });
  expect(lines).toEqual([
    expect.stringMatching(/^Faces: the mini set finds nobody, .* in the middle of image is taken/),
  ]);
});
