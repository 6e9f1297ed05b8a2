/** The built-in model through the whole product: `darkroom serve` as a process, the unmodified client, a real portrait. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readTensor } from '../../src/weights/read-tensor.ts';
import { readSafetensors } from '../../src/weights/safetensors.ts';
import { type TensorToWrite, writeSafetensors } from '../../src/weights/write-safetensors.ts';
import { publishMiniSet } from '../support/mini-set.ts';
import { digest, fetchFile, servedModel } from '../support/served-model.ts';

const model = 'tencentarc/photomaker:ddfc2b08d209f9fa8c1eca692712918bd449f695dabb4a958da31802a9570fe4';
const portrait = readFileSync(fileURLToPath(new URL('../fixtures/photos/eileen-collins.jpg', import.meta.url)));
const jpeg = (bytes: Buffer): string => `data:image/jpeg;base64,${bytes.toString('base64')}`;
const input_image = jpeg(portrait);
/** Short: the second step is the first one that sees the photograph. */
const quick = { input_image, num_steps: 2, style_strength_ratio: 15, seed: 7 };

const darkroom = servedModel(model);
const { predict } = darkroom;
beforeAll(() => darkroom.start());
afterAll(() => darkroom.close());

test('a portrait alone gives a picture, everything else at its default', async () => {
  const { prediction, files } = await predict({ input_image });
  expect(prediction.error ?? '').toBe('');
  expect(prediction.logs).toMatch(/^Using seed \d+\.\.\.$/m);
  expect(prediction.logs).toMatch(/mini set.*untrained/);
  expect(prediction.logs).toContain('[Debug] Prompt: cinematic photo A photo of a person img . 35mm photograph');
  expect(prediction.logs).toContain('Start merge step: 4');
  expect(prediction.logs).toContain('100%|██████████| 20/20');
  expect(prediction.logs).toContain('Running safety checker...');
  expect(prediction.output).toEqual([expect.stringMatching(/\/f\/[\w-]{22,}\/image_0\.png$/)]);
  expect(await sharp(files[0]).metadata()).toMatchObject({ format: 'png', width: 1024, height: 1024, channels: 3 });
});

test('`replicate.run` uploads the photographs, and the same seed gives the same bytes', async () => {
  const { files } = await predict(quick);
  const [output] = (await darkroom.replicate.run(model, { input: { ...quick, input_image: portrait } })) as string[];
  expect(digest(await fetchFile(output!))).toBe(digest(files[0]));
});

test('four photographs and two outputs, in a style', async () => {
  const flipped = jpeg(await sharp(portrait).flop().jpeg().toBuffer());
  const further = { input_image2: flipped, input_image3: input_image, input_image4: flipped };
  const { prediction, files } = await predict({ ...quick, ...further, style_name: 'Line art', num_outputs: 2 });
  expect(prediction.error ?? '').toBe('');
  expect(prediction.logs?.match(/^Loading image input_image\d?\.\.\.$/gm)).toHaveLength(4);
  expect(prediction.logs).toContain('[Debug] Neg Prompt: anime, photorealistic, 35mm film');
  expect((prediction.output as string[]).map((url) => url.slice(-11))).toEqual(['image_0.png', 'image_1.png']);
  expect(digest(files[0])).not.toBe(digest(files[1]));
});

test('the picture may be sent as `image`', async () => {
  const { input_image: image, ...rest } = quick;
  const [named, other] = [await predict(quick), await predict({ ...rest, image })];
  expect(digest(other.files[0])).toBe(digest(named.files[0]));
  expect(Object.keys(other.prediction.input)).toContain('input_image');
});

test.each([
  [
    'a prompt without the trigger',
    { prompt: 'a photo of a woman' },
    /^Cannot find the trigger word 'img' in text prompt!/,
  ],
  [
    'a prompt with two triggers',
    { prompt: 'a woman img and a man img' },
    /^Cannot use multiple trigger words 'img' in text prompt!/,
  ],
  [
    'a negative prompt with the trigger',
    { negative_prompt: 'a bad img' },
    /^Cannot use trigger word 'img' in negative prompt!/,
  ],
  [
    'a text that says it is a picture',
    { input_image: 'data:image/png;base64,aGVsbG8=' },
    /^input_image is not a picture/,
  ],
  ['a text', { input_image4: 'data:text/plain;base64,aGVsbG8=' }, /^input_image4 is not a picture/],
  [
    'a file that is cut off',
    { input_image2: jpeg(portrait.subarray(0, 9000)) },
    /^input_image2 is damaged or incomplete/,
  ],
])('%s ends as failed, with a message that says what to change', async (_name, change, message) => {
  const { prediction } = await predict({ ...quick, ...change });
  expect(prediction.status).toBe('failed');
  expect(prediction.error).toMatch(message);
  expect(prediction.logs).toContain('Using seed 7...');
  expect(prediction.output ?? null).toBeNull();
});

test.each([
  ['input_image', { input_image: undefined, input_image2: input_image }],
  ['num_steps', { num_steps: 0 }],
  ['num_steps', { num_steps: 101 }],
  ['num_steps', { num_steps: 2.5 }],
  ['style_strength_ratio', { style_strength_ratio: 14.9 }],
  ['style_strength_ratio', { style_strength_ratio: 50.1 }],
  ['num_outputs', { num_outputs: 0 }],
  ['num_outputs', { num_outputs: 5 }],
  ['guidance_scale', { guidance_scale: 0.9 }],
  ['guidance_scale', { guidance_scale: 10.5 }],
  ['seed', { seed: -1 }],
  ['seed', { seed: 2_147_483_648 }],
  ['style_name', { style_name: 'Disney Character' }],
])('%s is refused at once: %j', async (field, change) => {
  await expect(darkroom.create({ ...quick, ...change })).rejects.toThrow(new RegExp(`422[^]*${field}`));
});

/** A copy of the mini set in the place of the published files. Its safety checker finds everything unsafe. */
async function publishPrudish(): Promise<void> {
  const hub = publishMiniSet(darkroom.home, [
    'SG161222/RealVisXL_V3.0',
    'TencentARC/PhotoMaker',
    'runwayml/stable-diffusion-v1-5',
  ]);
  const file = join(hub, 'models--runwayml--stable-diffusion-v1-5/snapshots/abc/safety_checker/model.safetensors');
  const tensors = new Map<string, TensorToWrite>();
  for (const [name, { dtype, shape, ...tensor }] of (await readSafetensors(file)).tensors) {
    const values = (await readTensor({ dtype, shape, ...tensor })).data as Float32Array;
    const changed = name === 'concept_embeds_weights' ? values.map(() => -2) : values;
    tensors.set(name, { dtype, shape, bytes: new Uint8Array(Float32Array.from(changed).buffer) });
  }
  await writeSafetensors(file, tensors);
}

test('where every picture is unsafe, the prediction succeeds with an empty list', async () => {
  await publishPrudish();
  const { prediction } = await predict({ ...quick, num_outputs: 2 });
  expect(prediction.logs).toMatch(/Weights: the full set/);
  expect(prediction.logs).toContain('NSFW content detected in image 0\nNSFW content detected in image 1');
  expect(prediction.status).toBe('succeeded');
  expect(prediction.output).toEqual([]);
  const unchecked = await predict({ ...quick, disable_safety_checker: true });
  expect(unchecked.files).toHaveLength(1);
});
