/** What each structure makes of pictures that are no good photographs: a table on docs/models/controlnet.md. */
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, describe, expect, test } from 'vitest';
import { decodePng } from '../../test/support/decode-png.ts';
import { expectSamePixels } from '../../test/support/expect-same-pixels.ts';
import { miniContext } from '../../test/support/mini-context.ts';
import { encodePng, type RgbImage, readImage } from '../base/image.ts';
import { controlSize } from '../pipeline/control-size.ts';
import controlnet from './controlnet.ts';

const structures = controlnet.inputs.structure.choices;
type Structure = (typeof structures)[number];
/** These draw in the photograph's size, the others with the smaller side at 512. */
const inOwnSize: readonly Structure[] = ['canny', 'depth', 'normal', 'seg'];

const context = miniContext();
const folder = mkdtempSync(join(tmpdir(), 'darkroom-pictures-'));
afterAll(async () => {
  await context.close();
  rmSync(folder, { recursive: true });
});

const request = {
  prompt: 'a bronze bust',
  num_outputs: 1,
  image_resolution: 256,
  scheduler: 'DDIM',
  steps: 1,
  scale: 1,
  seed: 7,
  eta: 0,
  negative_prompt: '',
  low_threshold: 100,
  high_threshold: 200,
  return_reference_image: true,
} as const;

/** The structure of the picture, without a picture drawn along it. */
async function drawStructure(structure: Structure, image: string): Promise<RgbImage> {
  for await (const { name, bytes } of controlnet.predict({ ...request, structure, image }, context)) {
    expect(name).toBe('reference.png');
    return await decodePng(bytes);
  }
  throw new Error('Nothing came out.');
}

async function save(name: string, bytes: Uint8Array): Promise<string> {
  await writeFile(join(folder, name), bytes);
  return join(folder, name);
}

function flat(width: number, height: number): Promise<string> {
  const create = { width, height, channels: 3, background: '#405060' } as const;
  return sharp({ create })
    .png()
    .toBuffer()
    .then((bytes) => save(`${width}x${height}.png`, bytes));
}

const kindsOfFiles = [
  ['transparency', 'rgba.png'],
  ['a picture that EXIF turns', 'orientation-6.png'],
  ['CMYK', 'cmyk-red.jpg'],
  ['16 bits', 'grey-16-bit.png'],
  ['a palette', 'palette.gif'],
  ['a palette with a transparent colour', 'palette-transparent.png'],
  ['grey with transparency', 'grey-alpha.png'],
  ['an animation', 'animated.gif'],
] as const;

describe.each(structures)('%s', (structure) => {
  const expectedSize = ({ width, height }: { width: number; height: number }) =>
    inOwnSize.includes(structure) ? { width, height } : controlSize({ width, height }, 512);

  test.each([
    [1, 1],
    [50, 33],
    [33, 500],
  ])('a blank picture of %i×%i', async (width, height) => {
    const drawn = await drawStructure(structure, await flat(width, height));
    expect({ width: drawn.width, height: drawn.height }).toEqual(expectedSize({ width, height }));
  });

  test('a strip of 10000×50 is refused, and the message says what would become of it', async () => {
    await expect(async () => {
      for await (const _ of controlnet.predict({ ...request, structure, image: await flat(10_000, 50) }, context));
    }).rejects.toThrow(/image is 10000×50; .*[Cc]rop it/);
  });

  // How pictures are read is the same for all structures.
  test.each(structure === 'canny' ? kindsOfFiles : kindsOfFiles.slice(0, 2))(
    '%s: the structure of what a viewer shows',
    async (_, name) => {
      const file = fileURLToPath(new URL(`../../test/fixtures/images/files/${name}`, import.meta.url));
      const shown = await save('shown.png', await encodePng(await readImage(file)));
      expectSamePixels(await drawStructure(structure, file), await drawStructure(structure, shown));
    },
  );
});
