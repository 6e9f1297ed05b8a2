/** The whole model against the reference pipeline on the same small weights: test/fixtures/pipelines/. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { decodePng } from '../../test/support/decode-png.ts';
import { expectClose } from '../../test/support/expect-close.ts';
import { watching } from '../../test/support/watching.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import type { InputOf } from '../catalog/fields.ts';
import type { OutputFile, PredictContext } from '../catalog/model.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { createResidency } from '../runtime/residency.ts';
import { locateWeights } from '../weights/locate.ts';
import controlnet from './controlnet.ts';

interface Run {
  input: InputOf<typeof controlnet.inputs>;
  pictures: string[];
}

interface PipelineCase extends Run {
  expected: string;
  unsafe: boolean[];
}

interface ManyRuns {
  expected: string;
  pictureStride: number;
  runs: (Run & { name: string })[];
}

/** Measured: 4.8e-6 and 0.0006; float32 itself is up to 4.2e-6 away from float64 here. */
const tolerance = { relL2: 2e-5, meanPixelDifference: 0.003 };

const onlyFull = { weights: 'full', weightLicences: 'all' } as const;
const pipelines = new URL('../../test/fixtures/pipelines/', import.meta.url);
const residency = createResidency({ device: 'cpu' });
afterAll(() => residency.close());

/** A folder of cases: paths in it, and what was recorded there. */
function openCase<Case>(name: string) {
  const folder = new URL(`${name}/`, pipelines);
  const path = (file: string): string => fileURLToPath(new URL(file, folder));
  return { path, found: JSON.parse(readFileSync(path('case.json'), 'utf8')) as Case };
}

/** Notes what the networks are given: the latents before each step, and the finished ones. */
function recordLatents() {
  const latents: number[][] = [];
  const finished: number[] = [];
  const recording = watching(residency, ({ key, feeds }) => {
    const seen = (feeds.sample ?? feeds.latents)?.data as Float32Array;
    if (key.startsWith('unet')) latents.push([...seen]);
    else if (key.startsWith('vae-decoder')) finished.push(...seen.map((value) => value * 0.18215));
  });
  return { residency: recording, latents: () => [...latents, finished] };
}

/** Runs the model on the weights of the fixtures. */
async function predict({ input }: Run, path: (file: string) => string) {
  const recorded = recordLatents();
  const nowhere = path('nowhere');
  const settings = { ...onlyFull, weightsPath: path('../controlnet-weights'), hfHome: nowhere, home: nowhere };
  const steps: string[] = [];
  const lines: string[] = [];
  const context: PredictContext = {
    log: (line) => lines.push(line),
    step: (current, total) => steps.push(`${current}/${total}`),
    preview() {},
    signal: { aborted: false, throwIfAborted() {} },
    residency: recorded.residency,
    licences: 'all',
    locate: (repositories) => locateWeights(repositories, settings),
  };
  const files: OutputFile[] = [];
  for await (const file of controlnet.predict({ ...input, image: path(input.image) }, context)) files.push(file);
  expect(steps.at(-1)).toBe(`${input.steps}/${input.steps}`);
  const pictures = await Promise.all(files.map(({ bytes }) => decodePng(bytes)));
  return { latents: recorded.latents(), pictures, lines };
}

/** Every n-th pixel of every n-th row. */
function thin({ width, height, data }: RgbImage, stride: number): RgbImage {
  const kept = { width: Math.ceil(width / stride), height: Math.ceil(height / stride), channels: 3 as const };
  const pixels = new Uint8Array(kept.width * kept.height * 3);
  for (let y = 0; y < kept.height; y++) {
    for (let x = 0; x < kept.width; x++) {
      const from = (y * stride * width + x * stride) * 3;
      pixels.set(data.subarray(from, from + 3), (y * kept.width + x) * 3);
    }
  }
  return { ...kept, data: pixels };
}

async function expectPictures(ours: readonly RgbImage[], theirs: readonly string[]): Promise<void> {
  expect(ours).toHaveLength(theirs.length);
  for (const [index, file] of theirs.entries()) {
    const expected = await readImage(file);
    const { width, height, data } = ours[index]!;
    expect([width, height]).toEqual([expected.width, expected.height]);
    const total = data.reduce((sum, value, position) => sum + Math.abs(value - expected.data[position]!), 0);
    expect(total / data.length).toBeLessThan(tolerance.meanPixelDifference);
  }
}

test.each(['controlnet', 'controlnet-eta', 'controlnet-unguided', 'controlnet-unsafe'])(
  '%s follows the reference pipeline',
  async (name) => {
    const { path, found } = openCase<PipelineCase>(name);
    const { latents, pictures, lines } = await predict(found, path);
    const expected = await readTensors(path(found.expected));
    expect(latents).toHaveLength(found.input.steps + 1);
    for (const [step, given] of latents.entries()) {
      // With guidance the network sees the latents twice; the first half is enough.
      const reference = expected[`latents.${step}`]!.data as Float32Array;
      expectClose(given.slice(0, reference.length), reference, tolerance);
    }
    await expectPictures(pictures, found.pictures.map(path));
    const isBlack = pictures.map(({ data }) => data.every((value) => value === 0));
    expect(isBlack).toEqual(found.unsafe);
    const notices = lines.filter((line) => line.startsWith('Potential NSFW content was detected'));
    expect(notices).toHaveLength(found.unsafe.includes(true) ? 1 : 0);
  },
);

const many = openCase<ManyRuns>('controlnet-schedulers');

test.each(many.found.runs)('$name: the end of a run is that of the reference pipeline', async (run) => {
  const { latents, pictures } = await predict(run, many.path);
  const expected = (await readTensors(many.path(many.found.expected)))[run.name]!;
  expectClose(latents.at(-1)!, expected.data as Float32Array, tolerance);
  await expectPictures(
    pictures.map((picture) => thin(picture, many.found.pictureStride)),
    run.pictures.map(many.path),
  );
});
