/** The whole model against the original's pipeline on the same small weights: test/fixtures/pipelines/photomaker. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { decodePng } from '../../test/support/decode-png.ts';
import { expectClose } from '../../test/support/expect-close.ts';
import { miniContext } from '../../test/support/mini-context.ts';
import { watching } from '../../test/support/watching.ts';
import { readImage } from '../base/image.ts';
import type { InputOf } from '../catalog/fields.ts';
import type { Tensor } from '../math/tensor.ts';
import { readTensors } from '../parity/case-tensors.ts';
import photomaker from './photomaker.ts';

interface Run {
  name: string;
  input: Omit<InputOf<typeof photomaker.inputs>, 'disable_safety_checker'>;
  pictures: string[];
}

interface Case {
  expected: string;
  latentsStride: number;
  pictureStride: number;
  runs: Run[];
}

/** Measured: 2.2e-6 and 0.010; float32 itself is up to 1.5e-6 and 0.011 away from float64 here. */
const tolerance = { relL2: 1e-5, meanPixelDifference: 0.04 };

const pipelines = new URL('../../test/fixtures/pipelines/', import.meta.url);
const inPipelines = (file: string): string => fileURLToPath(new URL(file, pipelines));
const inCase = (file: string): string => inPipelines(`photomaker/${file}`);
const found: Case = JSON.parse(readFileSync(inCase('case.json'), 'utf8'));
const expected = await readTensors(inCase(found.expected));
const folders: Record<string, string> = {
  'SG161222/RealVisXL_V3.0': inPipelines('sdxl-weights/stabilityai/stable-diffusion-xl-base-1.0'),
  'TencentARC/PhotoMaker': inPipelines('photomaker-weights/TencentARC/PhotoMaker'),
  'stable-diffusion-v1-5/stable-diffusion-v1-5': inPipelines('controlnet-weights/runwayml/stable-diffusion-v1-5'),
};

const plain = miniContext({
  locate: async (repositories) => ({
    set: 'full',
    folders: repositories.map(({ repository }) => folders[repository]!),
  }),
});
afterAll(() => plain.close());

/** Notes the latents that the networks are given, in their order. */
function recordLatents() {
  const noted: { key: string; latents: Tensor<'float32'> }[] = [];
  const residency = watching(plain.residency, ({ key, feeds }) => {
    const latents = (feeds.sample ?? feeds.latents) as Tensor<'float32'> | undefined;
    if (latents) noted.push({ key, latents });
  });
  const latentsOf = (network: string) =>
    noted.filter(({ key }) => key.startsWith(network)).map(({ latents }) => latents);
  return { residency, latentsOf };
}

/** Every n-th of `size` values in every n-th row. */
function thin(values: ArrayLike<number>, [height, width]: [number, number], stride: number, size = 1): number[] {
  return Array.from(values).filter((_, index) => {
    const place = Math.floor(index / size);
    return (place % width) % stride === 0 && (Math.floor(place / width) % height) % stride === 0;
  });
}

function thinLatents({ dims, data }: Tensor<'float32'>): number[] {
  return thin(data, dims.slice(-2) as [number, number], found.latentsStride);
}

const [vaeScalingFactor, branches] = [0.13025, 2];

test.each(found.runs)('$name follows the original', { timeout: 180_000 }, async ({ name, input, pictures }) => {
  const { residency, latentsOf } = recordLatents();
  const steps: string[] = [];
  const photographs = Object.entries(input).filter(([field]) => field.startsWith('input_image'));
  const request = {
    ...input,
    ...Object.fromEntries(photographs.map(([field, file]) => [field, inCase(file as string)])),
    disable_safety_checker: true,
  } as InputOf<typeof photomaker.inputs>;
  const context = { ...plain, residency, step: (at: number, of: number) => void steps.push(`${at}/${of}`) };
  const files: Uint8Array[] = [];
  for await (const { bytes } of photomaker.predict(request, context)) files.push(bytes);

  expect(steps).toEqual(Array.from({ length: input.num_steps + 1 }, (_, at) => `${at}/${input.num_steps}`));
  const seen = latentsOf('unet');
  expect(seen).toHaveLength(input.num_steps * input.num_outputs * branches);
  for (let step = 0; expected[`${name}.${step}`]; step++) {
    const given = seen[step * input.num_outputs * branches]!;
    expectClose(thinLatents(given), expected[`${name}.${step}`]!.data as Float32Array, tolerance);
  }
  const finished = latentsOf('vae-decoder').flatMap(thinLatents);
  const scaled = finished.map((value) => value * vaeScalingFactor);
  expectClose(scaled, expected[`${name}.finished`]!.data as Float32Array, tolerance);

  expect(files).toHaveLength(pictures.length);
  for (const [index, file] of files.entries()) {
    const { width, height, data } = await decodePng(file);
    expect([width, height]).toEqual([1024, 1024]);
    const theirs = (await readImage(inCase(pictures[index]!))).data;
    const ours = thin(data, [height, width], found.pictureStride, 3);
    expect(ours).toHaveLength(theirs.length);
    const total = ours.reduce((sum, value, position) => sum + Math.abs(value - theirs[position]!), 0);
    expect(total / theirs.length).toBeLessThan(tolerance.meanPixelDifference);
  }
});
