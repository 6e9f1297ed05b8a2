/** Faces in pictures, against insightface 0.7.3 with the same `.onnx` files. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compare } from '../../test/support/expect-close.ts';
import { faceCases, facePath, makePicture, type Recipe } from '../../test/support/face-fixtures.ts';
import { createResidency, type Residency } from '../runtime/residency.ts';
import { readTensor } from '../weights/read-tensor.ts';
import { readSafetensors } from '../weights/safetensors.ts';
import { detectorFile, embedderFile } from './antelopev2.ts';
import { detectFaces } from './detect.ts';
import { embedFace } from './embed.ts';
import type { Face } from './face.ts';

interface Case extends Recipe {
  name: string;
  /** Of the detector's square. */
  size: number;
  faces: Face[];
  /** The rows of the embeddings of its first faces. */
  embeddings: [first: number, end: number];
}

const cases = faceCases<Case>('pictures.json');
const folder = facePath('antelopev2');
/** Measured: 4.3e-4 (of 1527 pixels), 2.4e-6, 9.3e-6, 4.3e-3. */
const tolerance = { pixels: 1.5e-3, score: 1e-5, oneMinusCosine: 3e-5, relL2: 0.012 };

let embeddings: Float32Array;
let residency: Residency;
const loaded: string[] = [];

beforeAll(async () => {
  residency = createResidency({
    device: 'cpu',
    onEvent: ({ type, key }) => void (type === 'loaded' && loaded.push(key)),
  });
  const { tensors } = await readSafetensors(facePath('embeddings.safetensors'));
  embeddings = (await readTensor(tensors.get('embeddings')!)).data as Float32Array;
});
afterAll(() => residency.close());

function farthest(actual: readonly number[], expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  return Math.max(...actual.map((value, index) => Math.abs(value - expected[index]!)));
}

test.each(cases)('$name', async ({ size, faces, embeddings: [first, end], ...recipe }) => {
  const picture = await makePicture(recipe);
  const found = await detectFaces(picture, size, folder, residency);
  expect(found.length, 'number of faces').toBe(faces.length);
  for (const [index, { box, points, score }] of found.entries()) {
    const expected = faces[index]!;
    expect(farthest(box, expected.box), `box ${index}`).toBeLessThan(tolerance.pixels);
    expect(farthest(points.flat(), expected.points.flat()), `points ${index}`).toBeLessThan(tolerance.pixels);
    expect(Math.abs(score - expected.score), `score ${index}`).toBeLessThan(tolerance.score);
  }
  for (let row = first; row < end; row++) {
    const embedding = await embedFace(picture, found[row - first]!, folder, residency);
    const { cosine, relL2 } = compare(embedding, embeddings.subarray(512 * row, 512 * (row + 1)));
    expect(1 - cosine, `embedding ${row - first}`).toBeLessThan(tolerance.oneMinusCosine);
    expect(relL2, `size of embedding ${row - first}`).toBeLessThan(tolerance.relL2);
  }
});

test('each network is loaded once, whatever the size of the detector', () => {
  expect(new Set(cases.map(({ size }) => size)).size).toBe(3);
  expect(loaded.map((key) => key.split(',', 1)[0]).sort()).toEqual([embedderFile, detectorFile]);
});
