/** That each input of the schema does what it should, on the mini set; the others are in test/e2e/face-to-many.test.ts. */
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodePng } from '../../test/support/decode-png.ts';
import { faceToManyRequests, type Request } from '../../test/support/face-to-many-requests.ts';
import { CanceledError } from '../base/errors.ts';
import type { PredictContext } from '../catalog/model.ts';
import { compileInputCheck } from '../catalog/validate.ts';
import { styleLoras } from '../pipeline/face-to-many-files.ts';
import faceToMany from './face-to-many.ts';

const { context, place, strip, otherStrip, predict, look, close } = await faceToManyRequests();
afterAll(close);
const thin = place('thin.png');
await sharp({ create: { width: 900, height: 200, channels: 3, background: '#405060' } }).toFile(thin);

const glimpses = new Map<string, Promise<string>>();
/** `look`, once for the same changes. */
function glimpse(changes: Partial<Request>): Promise<string> {
  const key = JSON.stringify(changes);
  const seen = glimpses.get(key) ?? look(changes);
  glimpses.set(key, seen);
  return seen;
}

test('the picture is a PNG of the photograph’s shape', async () => {
  const steps: string[] = [];
  const [file, ...others] = await predict(
    { prompt_strength: 1 },
    { ...context, step: (current, total) => steps.push(`${current}/${total}`) },
  );
  expect(others).toEqual([]);
  expect(file).toMatchObject({ name: 'ComfyUI_00001_.png', contentType: 'image/png' });
  const { width, height } = await decodePng(file!.bytes);
  expect([width, height]).toEqual([256, 1024]); // of 262, cut to a multiple of 8
  expect(steps).toEqual(Array.from({ length: 18 }, (_, step) => `${step}/17`));
});

describe('changes the picture', () => {
  let plain: string;
  beforeAll(async () => {
    plain = await glimpse({});
  });

  test.each<[string, Partial<Request>]>([
    ['prompt', { prompt: 'a knight' }],
    ['prompt, by a weight', { prompt: '(a person:1.3)' }],
    ['negative_prompt', { negative_prompt: 'hat' }],
    ['denoising_strength', { denoising_strength: 0.6 }],
    ['denoising_strength, to noise', { denoising_strength: 1 }],
    ['prompt_strength', { prompt_strength: 7 }],
    ['control_depth_strength', { control_depth_strength: 0.4 }],
    ['instant_id_strength', { instant_id_strength: 0.5 }],
    ['instant_id_strength, to none', { instant_id_strength: 0 }],
    ['seed', { seed: 8 }],
    ['lora_scale', { lora_scale: 0.5 }],
    ['lora_scale, to none', { lora_scale: 0 }],
    ['image', { image: otherStrip }],
  ])('%s', async (_, change) => {
    expect(await glimpse(change)).not.toBe(plain);
  });

  test('the same inputs do not', async () => {
    expect(await glimpse({ seed: '7' })).toBe(plain);
  });
});

test('every style draws a picture of its own, with weights of its own and no others', async () => {
  const pictures = new Set<string>();
  for (const style of faceToMany.inputs.style.choices) {
    const asked: string[] = [];
    const locate: PredictContext['locate'] = async (repositories) => {
      asked.push(...repositories.map(({ repository }) => repository));
      throw new CanceledError();
    };
    await expect(predict({ style }, { ...context, locate })).rejects.toBeInstanceOf(CanceledError);
    const loras = Object.values(styleLoras).map(({ repository }) => repository);
    expect(asked.filter((name) => loras.includes(name))).toEqual([styleLoras[style].repository]);
    pictures.add(await glimpse({ style, prompt_strength: 1 }));
  }
  expect(pictures.size).toBe(6);
});

test('without guidance there is no negative prompt, and guidance of 0 is for it alone', async () => {
  const unguided = { prompt_strength: 1 };
  expect(await glimpse({ ...unguided, negative_prompt: 'hat' })).toBe(await glimpse(unguided));
  const away = { prompt_strength: 0 };
  expect(await glimpse({ ...away, prompt: 'a knight' })).toBe(await glimpse(away));
  expect(await glimpse(away)).not.toBe(await glimpse(unguided));
});

test('depth is followed as strongly as asked', async () => {
  expect(await glimpse({ control_depth_strength: 0.8 })).not.toBe(await glimpse({ control_depth_strength: 0.4 }));
});

test('seeds of 64 bits are taken to the last digit', async () => {
  const quick = { prompt_strength: 1 };
  const largest = await glimpse({ ...quick, seed: '18446744073709551615' });
  expect(await glimpse({ ...quick, seed: '18446744073709551614' })).not.toBe(largest);
});

test('without a seed one is drawn and logged', async () => {
  const before = context.lines.length;
  await look({ seed: undefined, prompt_strength: 1 });
  const [, seed] = /Random seed set to: (\d+)/.exec(context.lines.slice(before).join('\n'))!;
  expect(Number(seed)).toBeLessThan(2 ** 32);
});

test('a LoRA of the caller’s takes the place of the style and of its words', async () => {
  const { folders } = await context.locate([styleLoras.Emoji]);
  const custom_lora_url = join(folders[0]!, 'lora.safetensors');
  const own = await glimpse({ custom_lora_url });
  expect(await glimpse({ custom_lora_url, style: 'Clay' })).toBe(own);
  expect(await glimpse({ style: 'Emoji' })).not.toBe(own);
  // The prompts alone make the difference.
  const words = {
    prompt: 'memoji, emoji, a person, 3d render, sharp',
    negative_prompt: 'photo, photography, blurry, soft, nsfw, nude, oversaturated, ugly, broken, watermark',
  };
  expect(await glimpse({ custom_lora_url, ...words })).toBe(await glimpse({ style: 'Emoji' }));
});

test('a denoising strength of 0 gives the photograph back, and needs a face and no more', async () => {
  const asked: string[] = [];
  const locate: PredictContext['locate'] = (repositories) => {
    asked.push(...repositories.map(({ repository }) => repository));
    return context.locate(repositories);
  };
  const quick = { denoising_strength: 0, seed: 1 };
  const [file] = await predict(quick, { ...context, locate });
  expect(asked).toEqual(['frankjoshua/albedobaseXL_v13', 'DIAMONIK7777/antelopev2']);
  const [again] = await predict({ ...quick, seed: 2, prompt: 'a knight', style: 'Toy' });
  expect(Buffer.from(again!.bytes)).toEqual(Buffer.from(file!.bytes));
});

test.each<[field: string, message: RegExp, change: Partial<Request>]>([
  ['image', /^No image provided/, { image: undefined }],
  ['seed', /seed is -1; send a whole number from 0 to 18446744073709551615/, { seed: -1 }],
  ['seed', /seed is 18446744073709551616/, { seed: '18446744073709551616' }],
  ['denoising_strength', /1e-9; use 0, or at least 0.0001/, { denoising_strength: 1e-9 }],
  ['image', /^image is 900×200; its longer side may be at most 4 times the shorter. Crop it/, { image: thin }],
  ['prompt', /^prompt has the weight "inf"; write a number/, { prompt: '(a person:inf)' }],
  ['negative_prompt', /^negative_prompt has the weight "nan"; write a number/, { negative_prompt: '(hat:nan)' }],
  ['prompt', /^prompt has brackets more than 100 deep; use fewer/, { prompt: '('.repeat(101) + ')'.repeat(101) }],
  ['prompt', /^prompt has more than 675 tokens, and 600 are accepted. Shorten it.$/, { prompt: 'word '.repeat(700) }],
  ['custom_lora_url', /^custom_lora_url: the LoRA cannot be used/, { custom_lora_url: strip }],
])('%s is refused before any network runs: %s', async (field, message, change) => {
  const residency: PredictContext['residency'] = {
    ...context.residency,
    use: () => Promise.reject(new Error('a network was to run')),
  };
  await expect(predict(change, { ...context, residency })).rejects.toMatchObject({
    name: 'InputError',
    field,
    message: expect.stringMatching(message),
  });
});

test.each<[name: keyof Request, minimum: number, maximum: number]>([
  ['denoising_strength', 0, 1],
  ['prompt_strength', 0, 20],
  ['control_depth_strength', 0, 1],
  ['instant_id_strength', 0, 1],
  ['lora_scale', 0, 1],
])('%s is refused below %d and above %d', (name, minimum, maximum) => {
  const check = compileInputCheck(faceToMany.inputs);
  const refused = (value: unknown) => check({ [name]: value }).faults.map(({ field }) => field);
  for (const accepted of [minimum, maximum]) expect(refused(accepted)).toEqual([]);
  for (const value of [minimum - 1e-9, maximum + 1e-9, Number.POSITIVE_INFINITY, 'much', true]) {
    expect(refused(value)).toEqual([`input.${name}`]);
  }
});
