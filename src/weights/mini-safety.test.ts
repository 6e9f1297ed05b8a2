import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { watching } from '../../test/support/watching.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import { blackenUnsafe } from '../pipeline/safety.ts';
import { createResidency } from '../runtime/residency.ts';
import { miniFolder } from './mini.ts';

test('the mini safety checker looks at every picture and lets every one pass', async () => {
  const home = await mkdtemp(join(tmpdir(), 'mini-safety-'));
  const residency = createResidency({ device: 'cpu' });
  const seen: number[] = [];
  const watched = watching(residency, ({ results }) => {
    seen.push(Math.max(...(results.cosines!.data as Float32Array)));
    return undefined;
  });
  try {
    const folder = (await miniFolder(['runwayml/stable-diffusion-v1-5'], home))!;
    const flat = (value: number): RgbImage => ({
      width: 64,
      height: 128,
      channels: 3,
      data: new Uint8Array(64 * 128 * 3).fill(value),
    });
    const photo = await readImage(
      fileURLToPath(new URL('../../test/fixtures/photos/eileen-collins.jpg', import.meta.url)),
    );
    const pictures = [flat(0), flat(200), photo];
    async function* all(): AsyncGenerator<RgbImage> {
      yield* pictures;
    }
    const returned: RgbImage[] = [];
    for await (const picture of blackenUnsafe(watched, folder, all(), expect.fail)) returned.push(picture);
    expect(returned).toEqual(pictures);
    expect(new Set(seen).size).toBe(3);
  } finally {
    await residency.close();
    await rm(home, { recursive: true });
  }
});
