import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectSamePixels } from '../../test/support/expect-same-pixels.ts';
import { recordedHeader, weightsOfHeader } from '../../test/support/recorded-header.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import { createResidency, type Residency } from '../runtime/residency.ts';
import { seg } from './seg.ts';
import { upernetConfig, upernetModel } from './upernet.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));

interface Case {
  input: string;
  output: string;
  /** How many there are. */
  colours: number;
}

const cases: Case[] = JSON.parse(readFileSync(join(fixtures, 'annotators/seg/pictures.json'), 'utf8'));

let folder: string;
let residency: Residency;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-seg-'));
  await cp(join(fixtures, 'networks/upernet/weights.safetensors'), join(folder, 'pytorch_model.bin'));
  residency = createResidency({ device: 'cpu' });
});

afterAll(async () => {
  await residency.close();
  await rm(folder, { recursive: true });
});

const coloursOf = (photograph: RgbImage) => seg.annotate(photograph, { folders: [folder], residency });

function countColours({ data }: RgbImage): number {
  const colours = new Set<number>();
  for (let at = 0; at < data.length; at += 3) colours.add((data[at]! << 16) | (data[at + 1]! << 8) | data[at + 2]!);
  return colours.size;
}

test.each(cases)('$input has the colours of the reference', async ({ input, output, colours }) => {
  const path = (file: string) => join(fixtures, 'annotators/seg', file);
  const expected = await readImage(path(output));
  expect(countColours(expected)).toBe(colours);
  expectSamePixels(await coloursOf(await readImage(path(input))), expected);
});

test.each([
  [1, 1],
  [3, 2],
  [10_000, 50],
])('a picture of %i × %i pixels', async (width, height) => {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, index) => (index * 37) % 256);
  const { data: colours, ...size } = await coloursOf({ width, height, channels: 3, data });
  expect(size).toEqual({ width, height, channels: 3 });
  expect(colours.length).toBe(data.length);
});

test('every tensor of the published file is used once, the auxiliary head aside', () => {
  const weights = weightsOfHeader(recordedHeader('upernet-convnext-small'), 'upernet-convnext-small');
  const config = upernetConfig(weights);
  expect(config).toEqual({
    stages: [
      { channels: 96, layers: 3 },
      { channels: 192, layers: 3 },
      { channels: 384, layers: 27 },
      { channels: 768, layers: 3 },
    ],
    patch: 4,
    width: 512,
    labels: 150,
  });
  const model = upernetModel({ config, weights }, { height: 512, width: 512 });
  expect(model.inputs).toEqual([{ name: 'pixel_values', type: 'float32', dims: [1, 3, 512, 512] }]);
  expect(model.outputs).toEqual([{ name: 'logits', type: 'float32', dims: [1, 150, 128, 128] }]);
});
