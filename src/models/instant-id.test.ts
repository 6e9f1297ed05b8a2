/** The whole model against the original's own predictor on the same small weights: test/fixtures/pipelines/instant-id/. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { decodePng } from '../../test/support/decode-png.ts';
import { expectClose } from '../../test/support/expect-close.ts';
import { type GivenFace, givenFaces } from '../../test/support/given-faces.ts';
import { watching } from '../../test/support/watching.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import type { InputOf } from '../catalog/fields.ts';
import type { LocatedWeights, OutputFile, PredictContext, WeightRepository } from '../catalog/model.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { longestSideSizes } from '../pipeline/longest-side.ts';
import { createResidency } from '../runtime/residency.ts';
import instantId from './instant-id.ts';

interface Run {
  name: string;
  input: Omit<InputOf<typeof instantId.inputs>, 'pose_image'> & { pose_image: string | null };
  /** Of the photograph, then of the picture of the pose. */
  faces: GivenFace[][];
  pictures: string[];
  said: string[];
  latentStride: number;
  pictureStride: number;
}

/** Measured: 1.9e-6 and 0.0025; float32 itself is up to 1.1e-6 away from float64 here. */
const tolerance = { relL2: 6e-6, meanPixelDifference: 0.01 };

/** Of the fixture's autoencoder: the decoder is given latents divided by it. */
const scalingFactor = 0.13025;

const folder = new URL('../../test/fixtures/pipelines/instant-id/', import.meta.url);
const path = (file: string): string => fileURLToPath(new URL(file, folder));
const found = JSON.parse(readFileSync(path('case.json'), 'utf8')) as {
  runs: Run[];
  weights: string[];
  expected: string;
};
const { runs, weights } = found;
const expected = await readTensors(path(found.expected));
const residency = createResidency({ device: 'cpu' });
afterAll(() => residency.close());

const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));
const annotators = mkdtempSync(join(tmpdir(), 'darkroom-annotators-'));
afterAll(() => rmSync(annotators, { recursive: true }));

/** The small networks of the structures, under the names of the published files. */
function placeAnnotators(): void {
  const files = [
    ['networks/openpose/weights.safetensors', 'lllyasviel/Annotators/body_pose_model.pth'],
    ['annotators/dpt-hybrid-transformers/config.json', 'Intel/dpt-hybrid-midas/config.json'],
    ['annotators/dpt-hybrid-transformers/weights.safetensors', 'Intel/dpt-hybrid-midas/pytorch_model.bin'],
  ] as const;
  for (const [from, to] of files) {
    mkdirSync(dirname(join(annotators, to)), { recursive: true });
    copyFileSync(join(fixtures, from), join(annotators, to));
  }
}
placeAnnotators();

/** Each repository is in one of the folders of weights; faces need none. */
async function locate(repositories: readonly WeightRepository[]): Promise<LocatedWeights> {
  const places = [...weights.map((place) => path(place)), annotators];
  const folders = repositories.map(({ repository, mirrors = [] }) => {
    const found = [repository, ...mirrors].flatMap((name) => places.map((place) => join(place, name))).find(existsSync);
    return found ?? repository;
  });
  return { set: 'full', folders };
}

async function predict(run: Run) {
  const { image, pose_image, ...rest } = run.input;
  const input = { ...rest, image: path(image), pose_image: pose_image === null ? undefined : path(pose_image) };
  const sizes = [longestSideSizes(await readImage(input.image), 1280, 'image')[1]];
  if (input.pose_image) sizes.push(longestSideSizes(await readImage(input.pose_image), 1024, 'pose_image')[1]);
  const sights = run.faces.map((faces, index) => ({ faces, ...sizes[index]! }));
  const embedding = expected[`${run.name}.embedding`]!.data as Float32Array;
  const latents: number[] = [];
  const watched = watching(givenFaces(residency, sights, embedding), ({ key, feeds }) => {
    if (key.startsWith('vae-decoder')) {
      latents.push(...(feeds.latents!.data as Float32Array).map((value) => value * scalingFactor));
    }
  });
  const steps: string[] = [];
  const lines: string[] = [];
  const context: PredictContext = {
    log: (line) => lines.push(...line.split('\n')),
    step: (current, total) => steps.push(`${current}/${total}`),
    preview() {},
    signal: { aborted: false, throwIfAborted() {} },
    residency: watched,
    licences: 'all',
    locate,
  };
  const files: OutputFile[] = [];
  for await (const file of instantId.predict(input, context)) files.push(file);
  const pictures = await Promise.all(files.map(({ bytes }) => decodePng(bytes)));
  return { pictures, latents, steps, lines, size: sizes.at(-1)! };
}

/** Every n-th place of every n-th row. */
function thin(
  planes: readonly number[],
  { width, height }: { width: number; height: number },
  stride: number,
): number[] {
  return planes.filter((_, index) => {
    const [x, y] = [index % width, Math.floor(index / width) % height];
    return x % stride === 0 && y % stride === 0;
  });
}

/** Values of each colour apart, as of planes. */
function planesOf({ width, height, data }: RgbImage): number[] {
  const area = width * height;
  return Array.from({ length: 3 * area }, (_, index) => data[(index % area) * 3 + Math.floor(index / area)]!);
}

test.each(runs)('$name: the end of a run is that of the original', { timeout: 180_000 }, async (run) => {
  const { pictures, latents, steps, lines, size } = await predict(run);
  const latentSize = { width: size.width / 8, height: size.height / 8 };
  const reference = expected[`${run.name}.latents`]!;
  expectClose(thin(latents, latentSize, run.latentStride), reference.data as Float32Array, tolerance);
  const asked = run.input.enable_lcm ? run.input.lcm_num_inference_steps : run.input.num_inference_steps;
  expect(steps.at(-1)).toBe(`${asked}/${asked}`);
  expect(lines).toEqual(expect.arrayContaining(run.said));
  expect(pictures).toHaveLength(run.pictures.length);
  for (const [index, file] of run.pictures.entries()) {
    const theirs = planesOf(await readImage(path(file)));
    const ours = thin(planesOf(pictures[index]!), pictures[index]!, run.pictureStride);
    expect(ours).toHaveLength(theirs.length);
    const total = ours.reduce((sum, value, position) => sum + Math.abs(value - theirs[position]!), 0);
    expect(total / ours.length).toBeLessThan(tolerance.meanPixelDifference);
  }
});
