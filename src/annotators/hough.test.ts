import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectSamePixels } from '../../test/support/expect-same-pixels.ts';
import { recordedHeader, weightsOfHeader } from '../../test/support/recorded-header.ts';
import { InputError } from '../base/errors.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import { createResidency, type Residency } from '../runtime/residency.ts';
import { hough } from './hough.ts';
import { mlsdConfig, mlsdModel } from './mlsd.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));

interface Case {
  input: string;
  output: string;
  /** Pixels. */
  white: number;
}

const cases: Case[] = JSON.parse(readFileSync(join(fixtures, 'annotators/hough/pictures.json'), 'utf8'));

let folder: string;
let residency: Residency;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-hough-'));
  await cp(
    join(fixtures, 'networks/mlsd/weights.safetensors'),
    join(folder, 'annotator/ckpts/mlsd_large_512_fp32.pth'),
  );
  residency = createResidency({ device: 'cpu' });
});

afterAll(async () => {
  await residency.close();
  await rm(folder, { recursive: true });
});

const linesOf = (photograph: RgbImage) => hough.annotate(photograph, { folders: [folder], residency });

test.each(cases)('$input has the lines of the reference', async ({ input, output, white }) => {
  const path = (file: string) => join(fixtures, 'annotators/hough', file);
  const expected = await readImage(path(output));
  expect(expected.data.filter((value) => value === 255).length).toBe(3 * white);
  expectSamePixels(await linesOf(await readImage(path(input))), expected);
});

test('a blank picture', async () => {
  const { data, ...size } = await linesOf(await readImage(join(fixtures, 'annotators/hough/grey.png')));
  expect(size).toEqual({ width: 512, height: 768, channels: 3 });
  expect(data.every((value) => value === 0 || value === 255)).toBe(true);
});

test('a strip is refused with its size', async () => {
  const strip = { width: 10_000, height: 50, channels: 3, data: new Uint8Array(10_000 * 50 * 3) } as const;
  await expect(linesOf(strip)).rejects.toThrow(InputError);
  await expect(linesOf(strip)).rejects.toThrow(/10000×50.*Crop/);
});

test('every tensor of the published file is used once', () => {
  const weights = weightsOfHeader(recordedHeader('mlsd-large'), 'mlsd-large');
  const config = mlsdConfig(weights);
  expect(config).toMatchObject({ stem: 32, width: 64 });
  expect(config.blocks.map(({ channels }) => channels)).toEqual([16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96]);
  const model = mlsdModel({ config, weights }, { height: 512, width: 704 });
  expect(model.inputs).toEqual([{ name: 'image', type: 'float32', dims: [1, 4, 512, 704] }]);
  expect(model.outputs).toEqual([{ name: 'maps', type: 'float32', dims: [1, 9, 256, 352] }]);
});
