/** Faces turned upright, against insightface 0.7.3's `norm_crop2`: skimage and OpenCV. */
import { beforeAll, describe, expect, test } from 'vitest';
import { faceCases, facePath, makePicture } from '../../test/support/face-fixtures.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import { alignedSide, alignFace, uprightMatrix } from './align.ts';
import type { FacePoints } from './face.ts';

interface Case {
  name: string;
  points: FacePoints;
  matrix: number[];
}

const cases = faceCases<Case>('alignments.json');
const size = 3 * alignedSide ** 2;

let portrait: RgbImage;
let crops: RgbImage;
beforeAll(async () => {
  portrait = await makePicture({ photo: 'eileen-collins.jpg' });
  crops = await readImage(facePath('aligned.png'));
});

function differences(actual: Uint8Array, expected: Uint8Array): number[] {
  return [...actual].map((value, index) => Math.abs(value - expected[index]!)).filter((difference) => difference > 0);
}

describe.each(cases.map((one, index) => ({ ...one, index })))('$name', ({ name, points, matrix, index }) => {
  const expected = (): Uint8Array => crops.data.subarray(index * size, (index + 1) * size);

  test('the reference computes in float32: its matrix moves points by less than 1/10000 of a pixel', () => {
    const own = uprightMatrix(points);
    const moved = ([a, b, c, d, e, f]: readonly number[], [x, y]: FacePoints[number]): [number, number] => [
      a! * x + b! * y + c!,
      d! * x + e! * y + f!,
    ];
    for (const point of points) {
      const [x, y] = moved(own, point);
      const [expectedX, expectedY] = moved(matrix, point);
      // Measured: 3.8e-5.
      expect(Math.hypot(x - expectedX, y - expectedY)).toBeLessThan(1e-4);
    }
  });

  test('its matrix gives its bytes', async () => {
    const cv = await openCv();
    expect(differences(cv.warpAffine(portrait, matrix, alignedSide, alignedSide).data, expected())).toEqual([]);
  });

  test('few bytes differ by one', async () => {
    const { data } = await alignFace(portrait, points);
    const different = differences(data, expected());
    // Measured: 12 of 37632, of a mirrored face that is a point nearly; 6 of all others.
    expect(different.length).toBeLessThanOrEqual(18);
    expect(Math.max(0, ...different)).toBeLessThanOrEqual(name === 'mirrored' ? 8 : 1);
  });
});

test('a face outside of the picture is black', async () => {
  const { data } = await alignFace(portrait, cases.find(({ name }) => name === 'outside')!.points);
  expect(data.every((value) => value === 0)).toBe(true);
});

test('the published example', () => {
  const points = [
    [95.3, 110.7],
    [160.9, 108.2],
    [130.4, 150.6],
    [102.8, 185.1],
    [155.2, 183.9],
  ] as const;
  const [a, b, c, d, e, f] = uprightMatrix(points);
  expect([a, -b, e, d].map((value) => value.toPrecision(6))).toEqual([
    '0.542099',
    '0.00765772',
    '0.542099',
    '0.00765772',
  ]);
  expect([c, f].map((value) => value.toFixed(4))).toEqual(['-12.7302', '-9.1545']);
});

test.each([0, 117.25, 1e6])('points that all lie at %d cannot be turned upright', async (place) => {
  const points = Array.from({ length: 5 }, () => [place, place] as const);
  await expect(alignFace(portrait, points)).rejects.toThrow(/five points of a face lie at one place.*another picture/);
});

test.each([
  ['very far away', 1e7, 1],
  ['nearly at one place', 200, 1e-9],
  ['spread over millions of pixels', 0, 1e6],
])('points %s give a picture', async (_, shift, scale) => {
  const points = cases[0]!.points.map(([x, y]) => [x * scale + shift, y * scale - shift] as const);
  expect((await alignFace(portrait, points)).data.length).toBe(size);
});
