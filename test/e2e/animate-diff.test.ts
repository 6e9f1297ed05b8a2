/** animate-diff through the whole product: `darkroom serve` as a process, the unmodified client, and a browser that plays. */
import type { Browser } from 'playwright-core';
import type { Prediction } from 'replicate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findBrowser, openBrowser } from '../support/browser.ts';
import { cancelStill } from '../support/cancel-still.ts';
import { pictureAt, playFilm } from '../support/play-film.ts';
import { digest, fetchFile, servedModel } from '../support/served-model.ts';
import { waitUntil } from '../support/wait-until.ts';

const model = 'lucataco/animate-diff:beecf59c4aee8d81bf04f0381033dfa10dc16e845b4ae00d281e2fa377e48a9f';
/** One step: sixteen frames of 512×512 are always made. */
const quick = { prompt: 'a lighthouse in a storm', steps: 1, seed: 7 };

const darkroom = servedModel(model);
beforeAll(() => darkroom.start());
afterAll(() => darkroom.close());

describe('a film', () => {
  let prediction: Prediction;
  beforeAll(async () => {
    ({ prediction } = await darkroom.predict({ ...quick, steps: 2 }));
  }, 180_000);

  test('is one address of an MP4, and the log tells what the original tells', async () => {
    expect(prediction.error).toBeNull();
    expect(prediction.status).toBe('succeeded');
    expect(prediction.output).toMatch(/\/f\/[\w-]{22,}\/out\.mp4$/);
    const response = await fetch(prediction.output as string);
    expect(response.headers.get('content-type')).toBe('video/mp4');
    expect(Buffer.from(await response.arrayBuffer()).toString('latin1', 4, 8)).toBe('ftyp');
    const lines = prediction.logs!.split('\n');
    const told = [/mini set/, /^Using seed: 7$/, /^sampling: a lighthouse in a storm \.\.\.$/];
    const bars = [/^ {2}0%\|.*\| 0\/2 /, /^100%\|.*\| 2\/2 /, /^ {2}0%\|.*\| 0\/16 /, /^100%\|.*\| 16\/16 /];
    let from = 0;
    for (const pattern of [...told, ...bars, /^saved to file$/]) {
      const at = lines.slice(from).findIndex((line) => pattern.test(line));
      expect(at, `${pattern} after line ${from} of\n${prediction.logs}`).toBeGreaterThanOrEqual(0);
      from += at + 1;
    }
  });

  const path = findBrowser();
  test.skipIf(!path)('plays in a browser from the server, to its end after 2.08 s', async () => {
    const browser: Browser = await openBrowser(path!);
    try {
      const page = await browser.newPage();
      // A page of the server, so that the film is its own.
      await page.goto(`${darkroom.origin}/healthz`);
      const played = await playFilm(page, prediction.output as string);
      expect(played).toMatchObject({ width: 512, height: 512, duration: 2.08, endedAt: 2.08, played: [[0, 2.08]] });
      const shown = new Set<string>();
      for (let frame = 0; frame < 16; frame++) {
        shown.add((await pictureAt(page, 0.13 * (frame + 0.5))).toString('base64'));
      }
      expect(shown.size).toBe(16);
    } finally {
      await browser.close();
    }
  });
});

test('`replicate.run` returns the address of the same film each time, also with a seed of 64 bits', async () => {
  const input = { ...quick, seed: '10788741199826055526' };
  const output = (await darkroom.replicate.run(model, { input })) as unknown as string;
  expect(output).toMatch(/\/out\.mp4$/);
  const { prediction, files } = await darkroom.predict(input);
  expect(prediction.logs).toContain('Using seed: 10788741199826055526\n');
  expect(digest(await fetchFile(output))).toBe(digest(files[0]));
});

test('an empty input runs with the defaults of the schema, and cancel stops it within two steps', async () => {
  const created = await darkroom.create({});
  const stepsDone = (prediction: Prediction): number =>
    (prediction.logs?.match(/^ *\d+%\|.*\| [1-9]\d*\/25/gm) ?? []).length;
  const running = await waitUntil(
    'three steps are done',
    async () => {
      const current = await darkroom.replicate.predictions.get(created.id);
      if (current.status === 'failed') throw new Error(`It failed: ${current.error}`);
      return stepsDone(current) >= 3 ? current : undefined;
    },
    120_000,
  );
  expect(running.logs).toContain('sampling: masterpiece, best quality, 1girl, solo, cherry blossoms');
  const before = stepsDone(await cancelStill(darkroom, created.id));
  const canceled = await darkroom.ended(created);
  expect(canceled.status).toBe('canceled');
  expect(stepsDone(canceled) - before).toBeLessThanOrEqual(2);
});

test.each([
  [{ steps: 0 }, 'Must be greater than or equal to 1'],
  [{ steps: 101 }, 'Must be less than or equal to 100'],
  [{ guidance_scale: 0.9 }, 'Must be greater than or equal to 1'],
  [{ guidance_scale: 11 }, 'Must be less than or equal to 10'],
  [{ motion_module: 'mm_sd_v16' }, 'motion_module must be one of the following: '],
  [{ path: '../secret.safetensors' }, 'path must be one of the following: '],
  [{ seed: 1.5 }, 'Invalid type. Expected: integer, given: number'],
])('%j is refused at once', async (change, message) => {
  await expect(darkroom.create({ ...quick, ...change })).rejects.toThrow(message);
});

test('a seed that the original cannot take fails with the range that it can', async () => {
  const { prediction } = await darkroom.predict({ ...quick, seed: '18446744073709551616' });
  expect(prediction.status).toBe('failed');
  expect(prediction.error).toMatch(/^seed is 18446744073709551616; send a whole number from -9223372036854775808 to /);
});
