/** The built-in model through the whole product: `darkroom serve` as a process, the unmodified client, real pictures. */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Replicate, { type Prediction } from 'replicate';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { canny } from '../../src/annotators/canny.ts';
import { readImage } from '../../src/base/image.ts';
import { floatToHalf } from '../../src/math/float16.ts';
import { readTensor } from '../../src/weights/read-tensor.ts';
import { readSafetensors } from '../../src/weights/safetensors.ts';
import { type TensorToWrite, writeSafetensors } from '../../src/weights/write-safetensors.ts';
import { type Program, startProgram } from '../support/program.ts';

const model = 'rossjillian/controlnet:795433b19458d0f4fa172a7ccf93178d2adb1cb8ab2ad6c8fdc33fdbcd49f477';
const photograph = fileURLToPath(new URL('../fixtures/photos/eileen-collins.jpg', import.meta.url));
const base = { image: readFileSync(photograph), prompt: 'a bronze bust', structure: 'canny' };
/** Small and short: what an input changes shows after two steps too. */
const quick = { ...base, image_resolution: 256, steps: 2, seed: 7 };

const home = mkdtempSync(join(tmpdir(), 'darkroom-e2e-'));
let darkroom: Program;
let replicate: Replicate;

async function start(settings: Record<string, string> = {}): Promise<void> {
  darkroom = await startProgram('serve', {
    PORT: '0',
    DARKROOM_HOME: home,
    HF_HOME: home,
    DARKROOM_LOG_LEVEL: 'warn',
    ...settings,
  });
  replicate = new Replicate({ baseUrl: `${darkroom.origin}/v1`, auth: 'any' });
}

/** Runs to the end; @returns the prediction and the bytes of its files */
async function predict(input: object): Promise<{ prediction: Prediction; files: Buffer[] }> {
  const { image, ...rest } = { ...quick, ...input };
  const url = Buffer.isBuffer(image) ? `data:image/jpeg;base64,${image.toString('base64')}` : image;
  const created = await replicate.predictions.create({ version: model, input: { ...rest, image: url } });
  const prediction = await ended(created);
  const files: Buffer[] = [];
  for (const output of (prediction.output ?? []) as string[]) {
    files.push(Buffer.from(await (await fetch(output)).arrayBuffer()));
  }
  return { prediction, files };
}

/** As the client's own `wait`, which throws where a prediction failed. */
async function ended(prediction: Prediction): Promise<Prediction> {
  let current = prediction;
  while (current.status === 'starting' || current.status === 'processing') {
    await setTimeout(50);
    current = await replicate.predictions.get(prediction.id);
  }
  return current;
}

const digest = (file: Buffer | undefined): string => createHash('sha256').update(file!).digest('hex');

beforeAll(() => start());
afterAll(async () => {
  await darkroom?.end();
  rmSync(home, { recursive: true, force: true });
});

test('a photograph becomes a 512-pixel PNG, and the first output shows its edges', async () => {
  const { prediction, files } = await predict({
    ...base,
    image_resolution: 512,
    steps: 3,
    return_reference_image: true,
  });
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
  const output = (await replicate.run(model, {
    input: { ...quick, image: `data:image/jpeg;base64,${base.image.toString('base64')}` },
  })) as string[];
  expect(output).toHaveLength(1);
  expect(output[0]).toMatch(/\/f\/[\w-]{22,}\/out-0\.png$/);
});

test('the same seed gives the same bytes, also after a restart', async () => {
  const first = await predict({});
  const again = await predict({});
  expect(digest(again.files[0])).toBe(digest(first.files[0]));
  await darkroom.end();
  await start();
  const restarted = await predict({});
  expect(digest(restarted.files[0])).toBe(digest(first.files[0]));
  // What was made before the restart is still there.
  const before = await replicate.predictions.get(first.prediction.id);
  const kept = await fetch((before.output as string[])[0]!.replace(/^http:\/\/[^/]+/, darkroom.origin));
  expect(digest(Buffer.from(await kept.arrayBuffer()))).toBe(digest(first.files[0]));
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
  const [plain, changed] = [await predict({}), await predict(change)];
  expect(changed.prediction.status).toBe('succeeded');
  expect(digest(changed.files[0])).not.toBe(digest(plain.files[0]));
});

test.each(['canny', 'depth', 'hed', 'hough', 'normal', 'pose', 'scribble', 'seg'])(
  '%s: a structure and a picture along it within 20 seconds',
  async (structure) => {
    const { prediction, files } = await predict({ structure, image_resolution: 512, return_reference_image: true });
    expect(prediction.error ?? '').toBe('');
    expect(prediction.logs).toMatch(/mini set.*untrained/);
    expect(files).toHaveLength(2);
    for (const file of files) {
      expect(await sharp(file).metadata()).toMatchObject({ format: 'png', width: 512, height: 512, channels: 3 });
    }
    expect(prediction.metrics?.predict_time).toBeLessThan(20);
  },
);

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
  expect(digest(swapped.files[0])).toBe(digest((await predict({})).files[0]));
});

test('num_outputs gives that many different pictures', async () => {
  const { files } = await predict({ num_outputs: 3 });
  expect(new Set(files.map(digest)).size).toBe(3);
});

test('the smaller side follows image_resolution, in multiples of 64', async () => {
  const wide = await sharp(photograph).resize(400, 300, { fit: 'fill' }).jpeg().toBuffer();
  const { files } = await predict({ image: wide, image_resolution: 256, return_reference_image: true });
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

/** Where a copy of the mini set stands in for the published files, laid out as Hugging Face's cache is. */
const hub = join(home, 'hub');

async function publishMiniSet(): Promise<void> {
  await predict({}); // writes the mini set
  const mini = join(home, 'weights', 'mini');
  for (const repository of ['runwayml/stable-diffusion-v1-5', 'lllyasviel/sd-controlnet-canny']) {
    const cache = join(hub, `models--${repository.replace('/', '--')}`);
    const folder = readdirSync(mini).map((recipe) => join(mini, recipe, repository));
    cpSync(folder.find(existsSync)!, join(cache, 'snapshots', 'abc'), { recursive: true });
    mkdirSync(join(cache, 'refs'));
    writeFileSync(join(cache, 'refs', 'main'), 'abc');
  }
}

test('a cut-off weight file fails the prediction with the file and the remedy, and the next one runs', async () => {
  await publishMiniSet();
  const full = await predict({});
  expect(full.prediction.logs).toMatch(/Weights: the full set/);

  const base = join(hub, 'models--runwayml--stable-diffusion-v1-5/snapshots/abc');
  const unet = join(base, 'unet/diffusion_pytorch_model.safetensors');
  truncateSync(unet, statSync(unet).size - 1000);
  await darkroom.end();
  await start();
  const { prediction } = await predict({});
  expect(prediction.status).toBe('failed');
  expect(prediction.error).toMatch(/unet\/diffusion_pytorch_model\.safetensors.*download it again/i);

  rmSync(hub, { recursive: true });
  expect((await predict({})).prediction.status).toBe('succeeded');
});

test('weights in half precision are converted once, and draw the same picture but for their rounding', async () => {
  const exact = await predict({});
  await publishMiniSet();
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
  const { image, ...rest } = { ...quick, image_resolution: 512, steps: 400 };
  const created = await replicate.predictions.create({
    version: model,
    input: { ...rest, image: `data:image/jpeg;base64,${image.toString('base64')}` },
  });
  const stepsDone = (prediction: Prediction): number =>
    (prediction.logs?.match(/^ *\d+%\|.*\| [1-9]\d*\/400/gm) ?? []).length;
  let prediction = created;
  while (stepsDone(prediction) < 3) {
    expect(prediction.status).toMatch(/starting|processing/);
    await setTimeout(50);
    prediction = await replicate.predictions.get(created.id);
  }
  const before = stepsDone(await replicate.predictions.cancel(created.id));
  const canceled = await ended(prediction);
  expect(canceled.status).toBe('canceled');
  expect(stepsDone(canceled) - before).toBeLessThanOrEqual(2);
});

test('an operator may ask for weights that are free for commercial use', async () => {
  await darkroom.end();
  await start({ DARKROOM_WEIGHT_LICENCES: 'commercial' });
  const { prediction } = await predict({ structure: 'scribble' });
  expect(prediction.status).toBe('succeeded');
  expect(prediction.logs).toMatch(/^Structure: drawn by lllyasviel\/Annotators \(Apache 2\.0\)/m);
});
