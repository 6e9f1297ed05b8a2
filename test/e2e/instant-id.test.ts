/** The built-in model through the whole product: `darkroom serve` as a process, the unmodified client, a real portrait. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digest, fetchFile, servedModel } from '../support/served-model.ts';

const model = 'zsxkib/instant-id:491ddf5be6b827f8931f088ef10c6d015f6d99685e6454e6f04c8ac298979686';
const portrait = fileURLToPath(new URL('../fixtures/photos/eileen-collins.jpg', import.meta.url));
const darkroom = servedModel(model);
const { predict } = darkroom;
let photograph: string;
/** A pose so narrow that the picture is small. */
let quick: object;

beforeAll(async () => {
  await darkroom.start();
  photograph = dataUrl(readFileSync(portrait));
  const strip = await sharp(portrait).extract({ left: 90, top: 120, width: 320, height: 20 }).jpeg().toBuffer();
  quick = {
    image: photograph,
    pose_image: dataUrl(strip),
    num_inference_steps: 1,
    guidance_scale: 1,
    enable_pose_controlnet: false,
    seed: 7,
  };
});
afterAll(() => darkroom.close());

function dataUrl(file: Buffer): string {
  return `data:image/jpeg;base64,${file.toString('base64')}`;
}

test('a portrait and nothing else: a WebP of 1280×1280', { timeout: 180_000 }, async () => {
  const { prediction, files } = await predict({ image: photograph });
  expect(prediction.error ?? '').toBe('');
  expect(prediction.logs).toMatch(/^Using seed: \d+$/m);
  expect(prediction.logs).toMatch(/mini set.*untrained/);
  expect(prediction.logs).toContain('100%|██████████| 30/30');
  expect(prediction.logs).toContain('[Debug] Prompt: a person, ');
  expect(prediction.output).toEqual([expect.stringMatching(/\/f\/[\w-]{22,}\/out_0\.webp$/)]);
  expect(await sharp(files[0]).metadata()).toMatchObject({ format: 'webp', width: 1280, height: 1280 });
});

test('all that can be switched on, through `replicate.run`, twice the same', async () => {
  const input = {
    ...quick,
    prompt: 'a bronze bust',
    negative_prompt: 'blurry',
    sdxl_weights: 'protovision-xl-high-fidel',
    enable_canny_controlnet: true,
    enable_depth_controlnet: true,
    enable_lcm: true,
    lcm_num_inference_steps: 2,
    ip_adapter_scale: 1.2,
    controlnet_conditioning_scale: 0.4,
    enhance_nonface_region: false,
    num_outputs: 2,
    output_format: 'jpg',
    output_quality: 40,
  };
  const output = (await darkroom.replicate.run(model, { input })) as unknown as string[];
  expect(output).toEqual([0, 1].map((index) => expect.stringMatching(new RegExp(`/out_${index}\\.jpeg$`))));
  const once = await Promise.all(output.map(fetchFile));
  expect(await sharp(once[0]).metadata()).toMatchObject({ format: 'jpeg', width: 1024, height: 64 });
  const { files } = await predict(input);
  expect(files.map(digest)).toEqual(once.map(digest));
});

test('a picture of the person’s pose, with its ControlNet', async () => {
  const pose = await sharp(portrait).extract({ left: 20, top: 40, width: 450, height: 180 }).jpeg().toBuffer();
  const input = { ...quick, pose_image: dataUrl(pose), enable_pose_controlnet: true, output_format: 'png' };
  const { prediction, files } = await predict(input);
  expect(prediction.error ?? '').toBe('');
  expect(await sharp(files[0]).metadata()).toMatchObject({ format: 'png', width: 1024, height: 384 });
});

test.each([
  [{ image: undefined }, /image/],
  [{ guidance_scale: 0.5 }, /guidance_scale/],
  [{ guidance_scale: 51 }, /guidance_scale/],
  [{ num_inference_steps: 501 }, /num_inference_steps/],
  [{ ip_adapter_scale: 1.6 }, /ip_adapter_scale/],
  [{ controlnet_conditioning_scale: -0.1 }, /controlnet_conditioning_scale/],
  [{ pose_strength: 1.1 }, /pose_strength/],
  [{ canny_strength: -1 }, /canny_strength/],
  [{ depth_strength: 2 }, /depth_strength/],
  [{ lcm_num_inference_steps: 11 }, /lcm_num_inference_steps/],
  [{ lcm_guidance_scale: 21 }, /lcm_guidance_scale/],
  [{ output_quality: 101 }, /output_quality/],
  [{ output_format: 'gif' }, /output_format/],
  [{ num_outputs: 9 }, /num_outputs/],
  [{ num_outputs: 0 }, /num_outputs/],
  [{ scheduler: 'DDIMScheduler' }, /scheduler/],
  [{ sdxl_weights: 'sd-1.5' }, /sdxl_weights/],
  [{ seed: 1.5 }, /seed/],
  [{ enable_lcm: 'yes' }, /enable_lcm/],
])('%j is refused at once, and the message names the input', async (change, message) => {
  await expect(darkroom.create({ ...quick, ...change })).rejects.toMatchObject({
    message: expect.stringMatching(message),
    response: { status: 422 },
  });
});

test.each([
  ['image', 'data:image/png;base64,aGVsbG8=', /^image is not a picture that can be read/],
  ['pose_image', 'data:image/png;base64,aGVsbG8=', /^pose_image is not a picture that can be read/],
])('%s that is no picture fails the prediction, and the message names the input', async (field, file, message) => {
  const { prediction } = await predict({ ...quick, [field]: file });
  expect(prediction.status).toBe('failed');
  expect(prediction.error).toMatch(message);
  expect(prediction.output ?? null).toBeNull();
});

test('a strip of 900×30 fails the prediction, and the message says what to do', async () => {
  const strip = await sharp({ create: { width: 900, height: 30, channels: 3, background: 'teal' } })
    .jpeg()
    .toBuffer();
  const { prediction } = await predict({ ...quick, image: dataUrl(strip) });
  expect(prediction.error).toMatch(/^image is 900×30, too long and narrow: .* Crop it\.$/);
});
