/** The built-in model through the whole product: `darkroom serve` as a process, the unmodified client, real pictures. */
import { readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Prediction } from 'replicate';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { canny } from '../../src/annotators/canny.ts';
import { readImage } from '../../src/base/image.ts';
import { floatToHalf } from '../../src/math/float16.ts';
import { readTensor } from '../../src/weights/read-tensor.ts';
import { readSafetensors } from '../../src/weights/safetensors.ts';
import { type TensorToWrite, writeSafetensors } from '../../src/weights/write-safetensors.ts';
import { cancelStill } from '../support/cancel-still.ts';
import { publishMiniSet } from '../support/mini-set.ts';
import { childrenOf } from '../support/program.ts';
import { digest, fetchFile, servedModel } from '../support/served-model.ts';

const model = 'rossjillian/controlnet:795433b19458d0f4fa172a7ccf93178d2adb1cb8ab2ad6c8fdc33fdbcd49f477';
const photograph = fileURLToPath(new URL('../fixtures/photos/eileen-collins.jpg', import.meta.url));
const jpegUrl = (bytes: Buffer): string => `data:image/jpeg;base64,${bytes.toString('base64')}`;
const image = jpegUrl(readFileSync(photograph));
/** Small and short: what an input changes shows after two steps too. */
const quick = { image, prompt: 'a bronze bust', structure: 'canny', image_resolution: 256, steps: 2, seed: 7 };

const darkroom = servedModel(model);
const predict = (change: object) => darkroom.predict({ ...quick, ...change });
beforeAll(() => darkroom.start());
afterAll(() => darkroom.close());

/** What all changes of the input are compared with. */
let plain: Promise<string> | undefined;
const plainPicture = (): Promise<string> => {
  plain ??= predict({}).then(({ files }) => digest(files[0]));
  return plain;
};

test('a photograph becomes a 512-pixel PNG, and the first output shows its edges', async () => {
  const { prediction, files } = await predict({ image_resolution: 512, steps: 3, return_reference_image: true });
  expect(prediction.status).toBe('succeeded');
  expect(prediction.logs).toContain('Using seed: 7');
  expect(prediction.logs).toMatch(/mini set.*untrained/);
  expect(prediction.logs).toContain('100%|██████████| 3/3');
  expect(prediction.metrics?.predict_time).toBeGreaterThan(0);
  expect(files).toHaveLength(2);
  const [edges, picture] = await Promise.all(files.map((file) => sharp(file).metadata()));
  expect(picture).toMatchObject({ format: 'png', width: 512, height: 512, channels: 3 });
  expect(edges).toMatchObject({ format: 'png', width: 512, height: 512 });
  const shown = await sharp(files[0]).removeAlpha().raw().toBuffer();
  const expected = await canny(await readImage(photograph), 100, 200);
  expect(digest(shown)).toBe(digest(Buffer.from(expected.data)));
});

test('`replicate.run` returns the same files', async () => {
  const output = (await darkroom.replicate.run(model, { input: quick })) as string[];
  expect(output).toHaveLength(1);
  expect(output[0]).toMatch(/\/f\/[\w-]{22,}\/out-0\.png$/);
  expect(digest(await fetchFile(output[0]!))).toBe(await plainPicture());
});

test('the same seed gives the same bytes, also after a restart', async () => {
  const first = await predict({});
  const again = await predict({});
  expect(digest(again.files[0])).toBe(digest(first.files[0]));
  await darkroom.start();
  const restarted = await predict({});
  expect(digest(restarted.files[0])).toBe(digest(first.files[0]));
  // What was made before the restart is still there.
  const before = await darkroom.replicate.predictions.get(first.prediction.id);
  const kept = await fetchFile((before.output as string[])[0]!.replace(/^http:\/\/[^/]+/, darkroom.origin));
  expect(digest(kept)).toBe(digest(first.files[0]));
});

test.runIf(process.platform === 'linux')('its engine has loaded ONNX Runtime, the server has not', async () => {
  await plainPicture();
  const hasLoadedIt = (pid: number): boolean => readFileSync(`/proc/${pid}/maps`, 'utf8').includes('onnxruntime');
  expect(hasLoadedIt(darkroom.pid)).toBe(false);
  expect(childrenOf([darkroom.pid]).map(hasLoadedIt)).toEqual([true]);
});

test.each([
  ['prompt', { prompt: 'a wooden toy' }],
  ['negative_prompt', { negative_prompt: 'bronze' }],
  ['seed', { seed: 8 }],
  ['steps', { steps: 3 }],
  ['scale', { scale: 4 }],
  ['eta', { eta: 0.7 }],
  ['low_threshold', { low_threshold: 20 }],
  ['high_threshold', { high_threshold: 110 }],
])('%s changes the picture', async (_name, change) => {
  const { prediction, files } = await predict(change);
  expect(prediction.status).toBe('succeeded');
  expect(digest(files[0])).not.toBe(await plainPicture());
});

test.each([
  ...['canny', 'depth', 'hed', 'hough', 'normal', 'pose', 'scribble'].map((structure) => [structure, 256] as const),
  // The one that takes longest, at its full size.
  ['seg', 512] as const,
])('%s: a structure and a picture along it of %i pixels', async (structure, size) => {
  const { prediction, files } = await predict({ structure, image_resolution: size, return_reference_image: true });
  expect(prediction.error ?? '').toBe('');
  expect(prediction.logs).toMatch(/mini set.*untrained/);
  // The structure has the size of the photograph.
  for (const [index, side] of [512, size].entries()) {
    const picture = await sharp(files[index]).metadata();
    expect(picture).toMatchObject({ format: 'png', width: side, height: side, channels: 3 });
  }
  expect(files).toHaveLength(2);
});

test('every scheduler makes a picture of its own', async () => {
  const names = ['DDIM', 'DPMSolverMultistep', 'HeunDiscrete', 'K_EULER_ANCESTRAL', 'K_EULER', 'KLMS', 'PNDM'];
  const pictures = new Set<string>();
  for (const scheduler of [...names, 'UniPCMultistep']) {
    const { prediction, files } = await predict({ scheduler, steps: 4 });
    expect(prediction.error ?? '').toBe('');
    expect(prediction.logs).toContain('| 4/4 [');
    pictures.add(digest(files[0]));
  }
  expect(pictures.size).toBe(names.length + 1);
});

test('a scale of 1 turns guidance off, and the negative prompt with it', async () => {
  const [one, other] = [await predict({ scale: 1 }), await predict({ scale: 1, negative_prompt: 'bronze' })];
  expect(digest(one.files[0])).toBe(digest(other.files[0]));
});

test('thresholds in the wrong order are swapped', async () => {
  const swapped = await predict({ low_threshold: 200, high_threshold: 100 });
  expect(digest(swapped.files[0])).toBe(await plainPicture());
});

test('num_outputs gives that many different pictures', async () => {
  const { files } = await predict({ num_outputs: 3 });
  expect(new Set(files.map(digest)).size).toBe(3);
});

test('the smaller side follows image_resolution, in multiples of 64', async () => {
  const wide = await sharp(photograph).resize(400, 300, { fit: 'fill' }).jpeg().toBuffer();
  const { files } = await predict({ image: jpegUrl(wide), image_resolution: 256, return_reference_image: true });
  expect(await sharp(files[0]).metadata()).toMatchObject({ width: 400, height: 300 });
  expect(await sharp(files[1]).metadata()).toMatchObject({ width: 320, height: 256 });
});

test('without a seed each prediction draws its own and logs it', async () => {
  const { prediction } = await predict({ seed: undefined });
  const seed = Number(/^Using seed: (\d+)$/m.exec(prediction.logs!)![1]);
  expect(seed).toBeGreaterThanOrEqual(0);
  expect(seed).toBeLessThanOrEqual(65_535);
});

test('a very long prompt is cut to 77 tokens, and the log shows what was cut', async () => {
  const { prediction } = await predict({ prompt: `a bust ${'word '.repeat(20_000)}` });
  expect(prediction.status).toBe('succeeded');
  expect(prediction.logs).toContain('was truncated because CLIP can only handle sequences up to 77 tokens');
  expect(prediction.logs!.length).toBeLessThan(5_000);
});

test.each([
  [{ steps: 0 }, /steps is 0/],
  [{ steps: 1001 }, /num_inference_steps.*1001 cannot be larger/],
  [{ eta: 40 }, /eta is 40/],
  [{ image: 'data:image/png;base64,aGVsbG8=' }, /image/],
])('%j ends as failed, with a message that names the input', async (change, message) => {
  const { prediction } = await predict(change);
  expect(prediction.status).toBe('failed');
  expect(prediction.error).toMatch(message);
  expect(prediction.output ?? null).toBeNull();
});

/** Copies of the mini set, in the place of the published files. */
function publish(): string {
  return publishMiniSet(darkroom.home, ['runwayml/stable-diffusion-v1-5', 'lllyasviel/sd-controlnet-canny']);
}

test('a cut-off weight file fails the prediction with the file and the remedy, and the next one runs', async () => {
  await plainPicture(); // writes the mini set
  const hub = publish();
  const full = await predict({});
  expect(full.prediction.logs).toMatch(/Weights: the full set/);

  const base = join(hub, 'models--runwayml--stable-diffusion-v1-5/snapshots/abc');
  const unet = join(base, 'unet/diffusion_pytorch_model.safetensors');
  truncateSync(unet, statSync(unet).size - 1000);
  await darkroom.start();
  const { prediction } = await predict({});
  expect(prediction.status).toBe('failed');
  expect(prediction.error).toMatch(/unet\/diffusion_pytorch_model\.safetensors.*download it again/i);

  rmSync(hub, { recursive: true });
  expect((await predict({})).prediction.status).toBe('succeeded');
});

test('weights in half precision are converted once, and draw the same picture but for their rounding', async () => {
  const exact = await predict({});
  const hub = publish();
  const files = readdirSync(hub, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.safetensors'));
  for (const file of files) await roundToHalf(join(hub, file));
  const first = await predict({});
  expect(first.prediction.logs?.match(/^Converting .* to float32, once\.$/gm)).toHaveLength(files.length);
  const second = await predict({});
  expect(second.prediction.logs).not.toContain('Converting');
  expect(digest(second.files[0])).toBe(digest(first.files[0]));
  const pixels = async (file: Buffer | undefined): Promise<Buffer> => await sharp(file).raw().toBuffer();
  const [ours, theirs] = [await pixels(first.files[0]), await pixels(exact.files[0])];
  const difference = ours.reduce((sum, value, index) => sum + Math.abs(value - theirs[index]!), 0) / ours.length;
  expect(difference).toBeGreaterThan(0);
  expect(difference).toBeLessThan(0.3); // measured: 0.10 of 255
  rmSync(hub, { recursive: true });
});

/** Writes the file's tensors again as half floats. */
async function roundToHalf(path: string): Promise<void> {
  const halves = new Map<string, TensorToWrite>();
  for (const [name, tensor] of (await readSafetensors(path)).tensors) {
    const values = (await readTensor(tensor)).data as Float32Array;
    const bytes = new Uint8Array(Uint16Array.from(values, floatToHalf).buffer);
    halves.set(name, { dtype: 'F16', shape: tensor.shape, bytes });
  }
  await writeSafetensors(path, halves);
}

test('cancel stops a running prediction within two steps', async () => {
  const created = await darkroom.create({ ...quick, image_resolution: 512, steps: 400 });
  const stepsDone = (prediction: Prediction): number =>
    (prediction.logs?.match(/^ *\d+%\|.*\| [1-9]\d*\/400/gm) ?? []).length;
  let prediction = created;
  while (stepsDone(prediction) < 3) {
    expect(prediction.status).toMatch(/starting|processing/);
    await setTimeout(50);
    prediction = await darkroom.replicate.predictions.get(created.id);
  }
  const before = stepsDone(await cancelStill(darkroom, created.id));
  const canceled = await darkroom.ended(prediction);
  expect(canceled.status).toBe('canceled');
  expect(stepsDone(canceled) - before).toBeLessThanOrEqual(2);
});

test('an operator may ask for weights that are free for commercial use', async () => {
  await darkroom.start({ DARKROOM_WEIGHT_LICENCES: 'commercial' });
  const { prediction } = await predict({ structure: 'scribble' });
  expect(prediction.status).toBe('succeeded');
  expect(prediction.logs).toMatch(/^Structure: drawn by lllyasviel\/Annotators \(Apache 2\.0\)/m);
});
