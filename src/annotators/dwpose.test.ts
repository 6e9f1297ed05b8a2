import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, test } from 'vitest';
import { expectSamePixels } from '../../test/support/expect-same-pixels.ts';
import { readImage } from '../base/image.ts';
import { createResidency } from '../runtime/residency.ts';
import { dwpose } from './dwpose.ts';

const folder = fileURLToPath(new URL('../../test/fixtures/annotators/dwpose/', import.meta.url));

interface PictureCase {
  input: string;
  output: string;
  boxes: number[][];
  joints: (number[] | null)[][];
}

const cases: PictureCase[] = JSON.parse(await readFile(join(folder, 'pictures.json'), 'utf8'));
const residency = createResidency({ device: 'cpu' });
afterAll(() => residency.close());

describe('the same picture of bodies as by the original', () => {
  test.each(cases)('$input', async ({ input, output }) => {
    const photograph = await readImage(join(folder, input));
    const picture = await dwpose.annotate(photograph, { folders: [folder], residency });
    expectSamePixels(picture, await readImage(join(folder, output)));
  });
});
