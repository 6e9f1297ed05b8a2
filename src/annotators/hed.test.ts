import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { recordedHeader, weightsOfHeader } from '../../test/support/recorded-header.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import { createResidency } from '../runtime/residency.ts';
import { fromGrey } from './grey.ts';
import { freeHed, hed } from './hed.ts';
import { apacheTraining, bsdsTraining, hedConfig, hedModel } from './hed-network.ts';
import { drawStrokes, freeScribble, scribble } from './scribble.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));
const pictures = join(fixtures, 'annotators/hed');
const residency = createResidency({ device: 'cpu', idleLimit: 1 });
const temporary = await mkdtemp(join(tmpdir(), 'darkroom-hed-'));
afterAll(async () => {
  await residency.close();
  await rm(temporary, { recursive: true });
});

const trainings = {
  bsds: { edges: hed, strokes: scribble, file: 'annotator/ckpts/network-bsds500.pth' },
  apache: { edges: freeHed, strokes: freeScribble, file: 'ControlNetHED.pth' },
};

/** Small random weights where the published ones would be. */
async function folderOf(training: keyof typeof trainings): Promise<string> {
  const folder = join(temporary, training);
  const path = join(folder, trainings[training].file);
  await mkdir(dirname(path), { recursive: true });
  await copyFile(join(fixtures, `networks/hed-${training}/weights.safetensors`), path);
  return folder;
}

interface Case {
  training: keyof typeof trainings;
  input: string;
  edges: string;
  strokes: string;
}

const cases: Case[] = JSON.parse(await readFile(join(pictures, 'pictures.json'), 'utf8'));

describe('from photograph to picture as the reference, with the same small network', () => {
  test.each(cases)('$edges, $strokes', async ({ training, input, edges, strokes }) => {
    const context = { folders: [await folderOf(training)], residency };
    const photograph = await readImage(join(pictures, input));
    const found = await trainings[training].edges.annotate(photograph, context);
    // The network agrees to 1e-6, which now and then decides which whole number a value is cut off to: measured 3.5e-5.
    await expectAlike(found, edges, { share: 1e-4, largest: 1 });
    const drawn = await trainings[training].strokes.annotate(photograph, context);
    // On a plain the last bit of a blurred value decides what is a ridge: measured 1.3e-5, where all is plain 2.9e-4.
    await expectAlike(drawn, strokes, { share: input === 'pixel.png' ? 1e-3 : 5e-5, largest: 255 });
  });
});

test.each(['lines', 'white', 'black'])('strokes of given edges: %s', async (name) => {
  const { width, height, data } = await readImage(join(pictures, `${name}.png`));
  const edges = { width, height, channels: 1, data: data.filter((_, index) => index % 3 === 0) };
  await expectAlike(fromGrey(await drawStrokes(edges)), `${name}-strokes.png`, { share: 0, largest: 0 });
});

async function expectAlike(actual: RgbImage, file: string, limits: { share: number; largest: number }): Promise<void> {
  const expected = await readImage(join(pictures, file));
  expect([actual.width, actual.height]).toEqual([expected.width, expected.height]);
  const gaps = expected.data.map((value, index) => Math.abs(value - actual.data[index]!)).filter((gap) => gap > 0);
  expect(gaps.length / expected.data.length).toBeLessThanOrEqual(limits.share);
  for (const gap of gaps) expect(gap).toBeLessThanOrEqual(limits.largest);
}

test.each([
  [10_000, 50],
  [9, 200],
])('%d × %d pixels are refused before any work', async (width, height) => {
  const strip: RgbImage = { width, height, channels: 3, data: new Uint8Array(width * height * 3) };
  const annotating = scribble.annotate(strip, { folders: ['/nowhere'], residency });
  await expect(annotating).rejects.toThrow(expect.objectContaining({ name: 'InputError', field: 'image' }));
});

describe('every tensor of the published file is used once', () => {
  test.each([
    ['hed-bsds', bsdsTraining],
    ['hed-apache', apacheTraining],
  ])('%s', (name, training) => {
    const weights = weightsOfHeader(recordedHeader(name), name);
    const config = hedConfig(weights, training);
    expect(config.blocks.map(({ channels, layers }) => [channels, layers])).toEqual([
      [64, 2],
      [128, 2],
      [256, 3],
      [512, 3],
      [512, 3],
    ]);
    const model = hedModel({ config, weights }, training, { height: 512, width: 704 });
    expect(model.outputs).toEqual([{ name: 'edges', type: 'float32', dims: [1, 1, 512, 704] }]);
  });
});
