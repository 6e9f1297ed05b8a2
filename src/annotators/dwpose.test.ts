import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { expectSamePixels } from '../../test/support/expect-same-pixels.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { onnxFileNetwork } from '../networks/onnx-file-network.ts';
import { createResidency } from '../runtime/residency.ts';
import { jointFinderInput, jointFinderShapes, readBody, viewOf } from './body-joints.ts';
import { resizeForDetection } from './detect-size.ts';
import { dwpose } from './dwpose.ts';
import { type Box, detectorInput, detectorScale, personDetectorShapes, readPersons } from './person-boxes.ts';

const folder = fileURLToPath(new URL('../../test/fixtures/annotators/dwpose/', import.meta.url));

interface PictureCase {
  input: string;
  output: string;
  /** Left, top, right, bottom. */
  boxes: [number, number, number, number][];
  joints: ([number, number] | null)[][];
}

const cases: PictureCase[] = JSON.parse(await readFile(join(folder, 'pictures.json'), 'utf8'));
const residency = createResidency({ device: 'cpu' });
afterAll(() => residency.close());

const cornersOf = ({ left, top, right, bottom }: Box): number[] => [left, top, right, bottom];

/** A few units in the last place of the float32 values around a thousand that boxes are. */
const closest = 0.001;

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  for (const [index, value] of expected.entries()) expect(Math.abs(actual[index]! - value)).toBeLessThan(closest);
}

describe('as the original', () => {
  test.each(cases)('finds persons in $input, and their joints', async ({ input, boxes, joints }) => {
    const picture = await resizeForDetection(await readImage(join(folder, input)), 512);
    const detector = onnxFileNetwork(join(folder, 'yolox_l.onnx'), personDetectorShapes);
    const images = await detectorInput(picture);
    const { output } = await residency.use(detector, (session) => session.run({ images }));
    const persons = readPersons(output as Tensor<'float32'>, detectorScale(picture));
    expect(persons).toHaveLength(boxes.length);
    for (const [index, person] of persons.entries()) expectClose(cornersOf(person), boxes[index]!);

    const jointFinder = onnxFileNetwork(join(folder, 'dw-ll_ucoco_384.onnx'), jointFinderShapes);
    for (const [index, person] of persons.slice(0, 8).entries()) {
      const view = viewOf(person);
      const found = await residency.use(jointFinder, async (session) =>
        session.run({ input: await jointFinderInput(picture, view) }),
      );
      const body = readBody(found as Parameters<typeof readBody>[0], view);
      expect(body.map((point) => point !== undefined)).toEqual(joints[index]!.map((point) => point !== null));
      const places = body.flatMap((point) => (point ? [point.x, point.y] : []));
      expectClose(
        places,
        joints[index]!.flatMap((point) => point ?? []),
      );
    }
  });

  test.each(cases)('draws the same picture of $input', async ({ input, output }) => {
    const photograph = await readImage(join(folder, input));
    const picture = await dwpose.annotate(photograph, { folders: [folder], residency });
    expectSamePixels(picture, await readImage(join(folder, output)));
  });
});

test('where nobody is found the picture is black, of the size of detection', async () => {
  const blind = { use: async () => ({ output: float32([1, 8400, 85]) }) };
  const photograph: RgbImage = { width: 30, height: 20, channels: 3, data: new Uint8Array(1800).fill(90) };
  const picture = await dwpose.annotate(photograph, {
    folders: [folder],
    residency: { ...residency, ...blind } as never,
  });
  expect(picture).toMatchObject({ width: 768, height: 512 });
  expect(picture.data.every((value) => value === 0)).toBe(true);
});

describe('of what the detector returns', () => {
  /** Squares of the coarsest grid, by their place: how sure they are of a person, and the logarithm of its box's sides. */
  function output(squares: Record<number, { sure: number; size?: number; dx?: number; class?: number }>) {
    const values = float32([1, 8400, 85]);
    for (const [place, { sure, size = 1, dx = 0, class: kind = 0 }] of Object.entries(squares)) {
      const start = (8000 + Number(place)) * 85;
      values.data.set([dx, 0, size, size, sure], start);
      values.data[start + 5 + kind] = 1;
    }
    return values;
  }

  test('persons are kept, the surest first, without those that lie on a surer one', () => {
    const found = readPersons(
      output({
        0: { sure: 0.5 },
        1: { sure: 0.6, dx: -0.8 },
        5: { sure: 0.9 },
        6: { sure: 0.3 },
        9: { sure: 0.9, class: 1 },
      }),
      1.25,
    );
    const half = (Math.E * 32) / 2 / 1.25;
    expectClose(found.flatMap(cornersOf), [
      ...[128 - half, -half, 128 + half, half],
      ...[5.12 - half, -half, 5.12 + half, half],
    ]);
  });

  test('what is no box is nobody', () => {
    for (const broken of [Number.NaN, Number.POSITIVE_INFINITY, -200, 60]) {
      expect(readPersons(output({ 7: { sure: 0.9, size: broken } }), 1)).toEqual([]);
      expect(readPersons(output({ 7: { sure: broken === 60 ? Number.NaN : 0.9, dx: 1e9 } }), 1)).toEqual([]);
    }
  });

  test('a crowd ends at a hundred', () => {
    const everywhere = Array.from({ length: 400 }, (_, place) => [place, { sure: 0.5 + place / 1000, size: -1 }]);
    const found = readPersons(output(Object.fromEntries(everywhere)), 1);
    expect(found).toHaveLength(100);
    expect(found[0]!.left).toBeGreaterThan(600 - 32);
  });
});
