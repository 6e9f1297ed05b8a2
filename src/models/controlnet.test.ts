/** The whole model against the reference pipeline on the same small weights: test/fixtures/pipelines/. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import type { InputOf } from '../catalog/fields.ts';
import type { PredictContext } from '../catalog/model.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { createResidency, type Residency } from '../runtime/residency.ts';
import controlnet from './controlnet.ts';

interface PipelineCase {
  weights: string;
  input: InputOf<typeof controlnet.inputs>;
  control: string;
  expected: string;
  pictures: string[];
}

/** Measured: 4.8e-6 and 0.0006; float32 itself is 3.7e-6 away from float64 here. */
const tolerance = { relL2: 2e-5, meanPixelDifference: 0.003 };

const pipelines = new URL('../../test/fixtures/pipelines/', import.meta.url);

/** Notes what the networks are given: the latents before each step, and the finished ones. */
function recordLatents(residency: Residency): { residency: Residency; latents: number[][] } {
  const latents: number[][] = [];
  const finished: number[] = [];
  const note = (key: string, sample: Float32Array): void => {
    if (key.startsWith('unet')) latents.push([...sample]);
    else if (key.startsWith('vae-decoder')) finished.push(...sample.map((value) => value * 0.18215));
  };
  return {
    get latents() {
      return [...latents, finished];
    },
    residency: {
      ...residency,
      use: (network, work) =>
        residency.use(network, (session) =>
          work({
            ...session,
            run(feeds) {
              const latents = feeds.sample ?? feeds.latents;
              if (latents) note(network.key, latents.data as Float32Array);
              return session.run(feeds);
            },
          }),
        ),
    },
  };
}

async function decode(png: Uint8Array): Promise<RgbImage> {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, data };
}

/** Mean absolute difference of two pictures' values, of 255. */
function meanDifference(left: RgbImage, right: RgbImage): number {
  let total = 0;
  for (const [index, value] of left.data.entries()) total += Math.abs(value - right.data[index]!);
  return total / left.data.length;
}

test.each(['controlnet', 'controlnet-eta', 'controlnet-unguided'])(
  '%s follows the reference pipeline',
  async (name) => {
    const folder = new URL(`${name}/`, pipelines);
    const path = (file: string): string => fileURLToPath(new URL(file, folder));
    const found = JSON.parse(readFileSync(path('case.json'), 'utf8')) as PipelineCase;
    const recorded = recordLatents(createResidency({ device: 'cpu' }));
    const { residency } = recorded;
    const steps: string[] = [];
    const context: PredictContext = {
      log: () => {},
      step: (current, total) => steps.push(`${current}/${total}`),
      signal: { aborted: false, throwIfAborted() {} },
      residency,
      locate: async (repositories) => ({
        set: 'full',
        folders: repositories.map(({ repository }) => path(`${found.weights}/${repository}`)),
      }),
    };

    const made: Uint8Array[] = [];
    for await (const file of controlnet.predict({ ...found.input, image: path(found.input.image) }, context)) {
      made.push(file.bytes);
    }
    await residency.close();

    const expected = await readTensors(path(found.expected));
    expect(recorded.latents).toHaveLength(found.input.steps + 1);
    for (const [step, latents] of recorded.latents.entries()) {
      // With guidance the network sees the latents twice; the first half is enough.
      const reference = expected[`latents.${step}`]!.data as Float32Array;
      expectClose(latents.slice(0, reference.length), reference, tolerance);
    }
    expect(made).toHaveLength(found.pictures.length);
    for (const [index, file] of found.pictures.entries()) {
      const [ours, theirs] = [await decode(made[index]!), await readImage(path(file))];
      expect([ours.width, ours.height]).toEqual([theirs.width, theirs.height]);
      expect(meanDifference(ours, theirs)).toBeLessThan(tolerance.meanPixelDifference);
    }
    expect(steps.at(-1)).toBe(`${found.input.steps}/${found.input.steps}`);
  },
);
