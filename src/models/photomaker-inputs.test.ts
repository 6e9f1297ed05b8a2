/** That each input of the schema does what it should, on the mini set; logs and errors: photomaker-outcomes.test.ts. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { miniContext } from '../../test/support/mini-context.ts';
import { CanceledError, WeightError } from '../base/errors.ts';
import type { RgbImage } from '../base/image.ts';
import type { InputOf } from '../catalog/fields.ts';
import type { OutputFile, PredictContext } from '../catalog/model.ts';
import photomaker from './photomaker.ts';

const inFixtures = (name: string): string => fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url));
const [portrait, other] = [
  inFixtures('photos/eileen-collins.jpg'),
  inFixtures('pipelines/photomaker/photograph-1.png'),
];
const request: InputOf<typeof photomaker.inputs> = {
  input_image: portrait,
  input_image2: undefined,
  input_image3: undefined,
  input_image4: undefined,
  prompt: 'a photo of a woman img',
  style_name: 'Photographic (Default)',
  negative_prompt: 'blurry',
  // The second step is the first one that sees the photographs.
  num_steps: 2,
  style_strength_ratio: 15,
  num_outputs: 1,
  guidance_scale: 5,
  seed: 7,
  disable_safety_checker: true,
};

const folder = mkdtempSync(join(tmpdir(), 'darkroom-photomaker-'));
const context = miniContext();
afterAll(async () => {
  await context.close();
  rmSync(folder, { recursive: true });
});

async function predict(changes: Partial<typeof request>, surroundings: PredictContext = context) {
  const files: OutputFile[] = [];
  for await (const file of photomaker.predict({ ...request, ...changes }, surroundings)) files.push(file);
  return files;
}
const digest = ({ bytes }: OutputFile): string => createHash('sha256').update(bytes).digest('hex');
const only = async (changes: Partial<typeof request>): Promise<string> => {
  const files = await predict(changes);
  expect(files).toHaveLength(1);
  return digest(files[0]!);
};

/** The picture of the request as it is. */
let plain: string;
beforeAll(async () => {
  plain = await only({});
});
const refused = (field: string, message: RegExp) =>
  expect.objectContaining({ name: 'InputError', field, message: expect.stringMatching(message) });

describe('photographs', () => {
  test('each one and their order count, gaps between them do not', async () => {
    const two = await only({ input_image2: other });
    const swapped = await only({ input_image: other, input_image2: portrait });
    const four = await only({ input_image2: other, input_image3: portrait, input_image4: other });
    expect(new Set([plain, two, swapped, four]).size).toBe(4);
    expect(await only({ input_image4: other })).toBe(two);
  });

  test.each([
    ['input_image', /^input_image is not a picture that can be read; send JPEG/],
    ['input_image3', /^input_image3 is not a picture/],
  ] as const)('a text as %s is refused', async (field, message) => {
    await expect(predict({ [field]: inFixtures('photos/README.md') })).rejects.toThrow(refused(field, message));
  });

  test('a strip is refused', async () => {
    const path = join(folder, 'strip.png');
    await sharp({ create: { width: 20, height: 1001, channels: 3, background: 'red' } }).toFile(path);
    await expect(predict({ input_image2: path })).rejects.toThrow(refused('input_image2', /20×1001, a strip/));
  });
});

test.each([
  { prompt: 'a photo of a man img' },
  { negative_prompt: '' },
  { style_name: '(No style)' },
  { style_name: 'Disney Charactor' },
  { num_steps: 3 },
  // Of two steps, all without the photographs.
  { style_strength_ratio: 50 },
  { guidance_scale: 1 },
  { seed: 8 },
] as const)('%j changes the picture', async (change) => {
  expect(await only(change)).not.toBe(plain);
});

test('without a step that sees them, photographs change nothing', async () => {
  const never = { num_steps: 1, input_image: other };
  expect(await only(never)).toBe(await only({ ...never, input_image: portrait }));
});

test('the pictures of a batch have numbers, and the first one is that of the seed alone', async () => {
  const files = await predict({ num_outputs: 3 });
  expect(files.map(({ name }) => name)).toEqual(['image_0.png', 'image_1.png', 'image_2.png']);
  expect(new Set(files.map(digest)).size).toBe(3);
  expect(digest(files[0]!)).toBe(plain);
});

test('a trigger beyond the 77 tokens is found, but no photograph is seen', async () => {
  const late = { prompt: `${'word '.repeat(300)} a woman img` };
  const before = context.lines.length;
  const lost = await only({ ...late, input_image2: other });
  const lines = context.lines.slice(before);
  expect(lines).toContain('The trigger word comes so late in the prompt that 0 of 2 photographs are used.');
  expect(lines.join('\n')).toContain('was truncated because CLIP can only handle sequences up to 77 tokens');
  // The words of the prompt fill the log neither here nor there.
  expect(lines.join('\n').length).toBeLessThan(4000);
  expect(await only({ ...late, input_image: other })).toBe(lost);
});

test.each([
  [true, ['SG161222/RealVisXL_V3.0', 'TencentARC/PhotoMaker']],
  [false, ['SG161222/RealVisXL_V3.0', 'TencentARC/PhotoMaker', 'stable-diffusion-v1-5/stable-diffusion-v1-5']],
])('with disable_safety_checker %s these weights are asked for: %j', async (disable_safety_checker, repositories) => {
  const asked: string[] = [];
  const locate: PredictContext['locate'] = async (needed) => {
    asked.push(...needed.map(({ repository }) => repository));
    throw new WeightError('that is all');
  };
  await expect(predict({ disable_safety_checker }, { ...context, locate })).rejects.toThrow('that is all');
  expect(asked).toEqual(repositories);
});

test('without a seed each prediction draws its own, and says which', async () => {
  const before = context.lines.length;
  const drawn = await only({ seed: undefined });
  const [, seed] = /^Using seed (\d+)\.\.\.$/.exec(context.lines[before]!)!;
  expect(Number(seed)).toBeLessThanOrEqual(2_147_483_647);
  expect(drawn).not.toBe(plain);
  expect(await only({ seed: Number(seed) })).toBe(drawn);
});

test('a preview of each step is offered', async () => {
  const previews: RgbImage[] = [];
  await predict({}, { ...context, preview: (draw) => void previews.push(draw()) });
  expect(previews.map(({ width, height }) => [width, height])).toEqual([
    [128, 128],
    [128, 128],
    [128, 128],
  ]);
});

test('a canceled prediction stops before its next step', async () => {
  let steps = -1;
  const throwIfAborted = (): void => {
    if (steps === 1) throw new CanceledError();
  };
  const canceling = { ...context, step: () => void steps++, signal: { aborted: false, throwIfAborted } };
  await expect(predict({ num_steps: 50 }, canceling)).rejects.toThrow(CanceledError);
  expect(steps).toBe(1);
});
