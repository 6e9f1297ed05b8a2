/** The built-in model through the whole product: `darkroom serve` as a process, the unmodified client, a real portrait. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digest, fetchFile, servedModel } from '../support/served-model.ts';

const model = 'fofr/face-to-many:a07f252abbbd832009640b27f063ea52d87d7a23a185ca165bec23b5adc8deaf';
const portrait = readFileSync(fileURLToPath(new URL('../fixtures/photos/eileen-collins.jpg', import.meta.url)));
const asUrl = (bytes: Buffer, type = 'image/jpeg'): string => `data:${type};base64,${bytes.toString('base64')}`;
const image = asUrl(portrait);

const darkroom = servedModel(model);
const { predict } = darkroom;
/** Narrow, so that there is less to draw, and without depth, which takes most of the time then. */
let quick: { image: string; seed: number; control_depth_strength: number; prompt_strength: number };

beforeAll(async () => {
  const strip = await sharp(portrait).extract({ left: 120, top: 0, width: 129, height: 512 }).jpeg().toBuffer();
  quick = { image: asUrl(strip), seed: 7, control_depth_strength: 0, prompt_strength: 1 };
  await darkroom.start();
});
afterAll(() => darkroom.close());

test('a portrait alone becomes a picture, everything else at its default', async () => {
  const { prediction, files } = await predict({ image });
  expect(prediction.error ?? '').toBe('');
  expect(prediction.logs).toMatch(/^Random seed set to: \d+$/m);
  expect(prediction.logs).toMatch(/mini set.*untrained/);
  expect(prediction.logs).toMatch(/^Faces: the mini set finds nobody/m);
  expect(prediction.logs).toContain('100%|██████████| 17/17');
  expect(prediction.output).toEqual([expect.stringMatching(/\/f\/[\w-]{22,}\/ComfyUI_00001_\.png$/)]);
  expect(await sharp(files[0]).metadata()).toMatchObject({ format: 'png', width: 1024, height: 1024, channels: 3 });
});

test('`replicate.run` uploads the photograph, and the same seed gives the same bytes', async () => {
  const { files } = await predict(quick);
  const photograph = Buffer.from(quick.image.split(',')[1]!, 'base64');
  const [output] = (await darkroom.replicate.run(model, { input: { ...quick, image: photograph } })) as string[];
  expect(digest(await fetchFile(output!))).toBe(digest(files[0]));
  expect(await sharp(files[0]).metadata()).toMatchObject({ width: 256, height: 1024 });
});

test('a seed of 64 bits keeps its digits on the way', async () => {
  const body = (seed: string) =>
    `{"version":"${model}","input":${JSON.stringify(quick).replace('"seed":7', `"seed":${seed}`)}}`;
  const create = async (seed: string): Promise<string> => {
    const headers = { 'content-type': 'application/json', prefer: 'wait=60' };
    const reply = await fetch(`${darkroom.origin}/v1/predictions`, { method: 'POST', headers, body: body(seed) });
    const { output } = (await reply.json()) as { output: string[] };
    return digest(await fetchFile(output[0]!));
  };
  expect(await create('18446744073709551615')).not.toBe(await create('18446744073709551614'));
});

test('a LoRA of the caller’s draws as the style that has it, given the style’s words', async () => {
  const styled = await predict({ ...quick, style: 'Emoji' });
  const mini = join(darkroom.home, 'weights', 'mini');
  const file = readdirSync(mini, { recursive: true, encoding: 'utf8' }).find((name) =>
    name.endsWith('fofr/sdxl-emoji/lora.safetensors'),
  );
  const custom_lora_url = asUrl(readFileSync(join(mini, file!)), 'application/octet-stream');
  const prompt = 'memoji, emoji, a person, 3d render, sharp';
  const own = await predict({ ...quick, style: 'Toy', prompt, custom_lora_url });
  expect(own.prediction.error ?? '').toBe('');
  expect(digest(own.files[0])).toBe(digest(styled.files[0]));
});

test('a prompt that looks like an address is a prompt', async () => {
  const { prediction } = await predict({ ...quick, prompt: `${darkroom.origin}/healthz`, denoising_strength: 0 });
  expect(prediction.status).toBe('succeeded');
  expect(prediction.logs).not.toContain('Downloading');
});

test.each([
  ['no image', { image: undefined }, /^No image provided/],
  ['a negative seed', { seed: -1 }, /^seed is -1; send a whole number from 0/],
  ['a hair of denoising', { denoising_strength: 0.00001 }, /^denoising_strength is 0.00001; use 0, or at least 0.0001/],
  ['a weight that is no number', { negative_prompt: '(hat:inf)' }, /^negative_prompt has the weight "inf"/],
  ['a text that says it is a picture', { image: 'data:image/png;base64,aGVsbG8=' }, /^image is not a picture/],
  ['a file that is cut off', { image: asUrl(portrait.subarray(0, 9000)) }, /^image is damaged or incomplete/],
  [
    'a LoRA from somewhere else',
    { custom_lora_url: 'https://example.com/pbxt/abc/trained_model.tar?https://replicate.delivery/pbxt/' },
    /custom_lora_url.*https:\/\/replicate\.delivery\/pbxt\/\[id\]\/trained_model\.tar/s,
  ],
])('%s ends as failed, with a message that says what to change', async (_name, change, message) => {
  const { prediction } = await predict({ ...quick, ...change });
  expect(prediction.status).toBe('failed');
  expect(prediction.error).toMatch(message);
  expect(prediction.output ?? null).toBeNull();
});

test.each([
  ['style', 'Watercolour'],
  ['denoising_strength', 1.1],
  ['prompt_strength', -1],
  ['control_depth_strength', 2],
  ['instant_id_strength', -0.1],
  ['lora_scale', 1.5],
  ['seed', 'lucky'],
])('%s of %j is refused before it starts', async (name, value) => {
  await expect(darkroom.create({ ...quick, [name]: value })).rejects.toThrow(new RegExp(`422[^]*${name}`));
});
