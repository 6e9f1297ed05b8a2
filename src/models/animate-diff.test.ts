/** The whole model against the reference pipeline on the same small weights: test/fixtures/pipelines/. */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { miniContext } from '../../test/support/mini-context.ts';
import { watching } from '../../test/support/watching.ts';
import { CanceledError, WeightError } from '../base/errors.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import type { PredictContext, WeightRepository } from '../catalog/model.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { createResidency } from '../runtime/residency.ts';
import { readBytes, readSafetensors } from '../weights/safetensors.ts';
import { type TensorToWrite, writeSafetensors } from '../weights/write-safetensors.ts';
import animateDiff, { type AnimateDiffInput, drawFrames, type FilmSize } from './animate-diff.ts';

interface PipelineCase {
  weights: string[];
  input: AnimateDiffInput;
  size: FilmSize;
  expected: string;
  pictures: [string];
}

/** Measured: 4.3e-6 and 0.0002; float32 itself is 3.1e-6 away from float64 here. */
const tolerance = { relL2: 2e-5, meanPixelDifference: 0.001 };

const pipelines = new URL('../../test/fixtures/pipelines/', import.meta.url);
const residency = createResidency({ device: 'cpu' });
const mini = miniContext();
afterAll(async () => {
  await residency.close();
  await mini.close();
});

/** Notes what the UNet is given, and the finished latents of each frame. */
function recordLatents() {
  const steps: Float32Array[] = [];
  const frames: Float32Array[] = [];
  const recording = watching(residency, ({ key, feeds }) => {
    if (key.startsWith('motion-unet')) steps.push(feeds.sample!.data as Float32Array);
    if (key.startsWith('vae-decoder')) frames.push(feeds.latents!.data as Float32Array);
  });
  return { residency: recording, steps, frames };
}

/** The latents of a film from those of its frames, [F][4, H, W] -> [4, F, H, W], scaled back. */
function filmOf(frames: readonly Float32Array[]): Float32Array {
  const area = frames[0]!.length / 4;
  const film = new Float32Array(frames.length * 4 * area);
  for (const [frame, latents] of frames.entries()) {
    for (let index = 0; index < latents.length; index++) {
      const channel = Math.floor(index / area);
      film[(channel * frames.length + frame) * area + (index % area)] = latents[index]! * 0.18215;
    }
  }
  return film;
}

function meanDifference(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let total = 0;
  for (let index = 0; index < left.length; index++) total += Math.abs(left[index]! - right[index]!);
  return total / left.length;
}

test.each(['animate-diff', 'animate-diff-v2', 'animate-diff-unguided'])(
  '%s follows the reference pipeline',
  async (name) => {
    const path = (file: string): string => fileURLToPath(new URL(`${name}/${file}`, pipelines));
    const found = JSON.parse(readFileSync(path('case.json'), 'utf8')) as PipelineCase;
    const { size, input } = found;
    const recorded = recordLatents();
    const steps: string[] = [];
    const lines: string[] = [];
    const context: PredictContext = {
      ...mini,
      log: (line) => lines.push(line),
      step: (current, total) => steps.push(`${current}/${total}`),
      residency: recorded.residency,
      locate: async (repositories) => ({
        set: 'full',
        folders: repositories.map(({ repository, mirrors = [] }) => {
          const names = [repository, ...mirrors];
          const folders = found.weights.flatMap((folder) => names.map((name) => path(`${folder}/${name}`)));
          return folders.find(existsSync)!;
        }),
      }),
    };

    const made: RgbImage[] = [];
    for await (const frame of drawFrames(input, size, context)) made.push(frame);

    const expected = await readTensors(path(found.expected));
    const runsPerStep = input.guidance_scale > 1 ? 2 : 1;
    expect(recorded.steps).toHaveLength(input.steps * runsPerStep);
    const ours = recorded.steps.filter((_, index) => index % runsPerStep === 0);
    for (const [step, latents] of [...ours, filmOf(recorded.frames)].entries()) {
      expectClose(latents, expected[`latents.${step}`]!.data as Float32Array, tolerance);
    }
    const theirs = await readImage(path(found.pictures[0]));
    expect(made.map(({ width, height }) => [width, height])).toEqual(
      new Array(size.frames).fill([theirs.width, theirs.height / size.frames]),
    );
    const strip = Buffer.concat(made.map(({ data }) => data));
    expect(meanDifference(strip, theirs.data)).toBeLessThan(tolerance.meanPixelDifference);

    expect(lines).toEqual([`Using seed: ${input.seed}`, `sampling: ${input.prompt} ...`]);
    const [first, last] = [steps.slice(0, input.steps + 1), steps.slice(input.steps + 1)];
    expect([first[0], first.at(-1)]).toEqual([`0/${input.steps}`, `${input.steps}/${input.steps}`]);
    expect([last[0], last.at(-1)]).toEqual([`0/${size.frames}`, `${size.frames}/${size.frames}`]);
  },
);

/** Small and short: what an input changes shows after two steps too. */
const quick: AnimateDiffInput = {
  motion_module: 'mm_sd_v14',
  path: 'toonyou_beta3.safetensors',
  prompt: 'a lighthouse in a storm',
  n_prompt: 'letterboxed',
  steps: 2,
  guidance_scale: 7.5,
  seed: 7,
};
const smallFilm: FilmSize = { frames: 3, width: 128, height: 64 };

async function draw(change: Partial<AnimateDiffInput>, context: PredictContext = mini): Promise<string> {
  const hash = createHash('sha256');
  for await (const { data } of drawFrames({ ...quick, ...change }, smallFilm, context)) hash.update(data);
  return hash.digest('hex');
}

describe('on the mini set', () => {
  let plain: string;
  beforeAll(async () => {
    plain = await draw({});
  });

  test('the same input gives the same frames', async () => {
    expect(await draw({})).toBe(plain);
  });

  const changes: Partial<AnimateDiffInput>[] = [
    { motion_module: 'mm_sd_v15' },
    { motion_module: 'mm_sd_v15_v2' },
    ...choicesOf('path').map((path) => ({ path })),
    { prompt: 'a garden in the rain' },
    { n_prompt: '' },
    { steps: 3 },
    { guidance_scale: 2 },
    { guidance_scale: 1 },
    { seed: 8 },
    { seed: 0 },
  ];
  test('every input changes the frames, each in its own way', async () => {
    const drawn = [plain];
    for (const change of changes) drawn.push(await draw(change));
    expect(new Set(drawn).size).toBe(changes.length + 1);
  });

  test('without guidance the negative prompt has no effect', async () => {
    expect(await draw({ guidance_scale: 1 })).toBe(await draw({ guidance_scale: 1, n_prompt: 'blue' }));
  });

  test('a seed of 64 bits counts to its last digit, and goes around below zero', async () => {
    const exact = await draw({ seed: '10788741199826055526' });
    expect(exact).not.toBe(await draw({ seed: '10788741199826055527' }));
    expect(exact).not.toBe(await draw({ seed: Number('10788741199826055526') }));
    expect(await draw({ seed: -1 })).toBe(await draw({ seed: '18446744073709551615' }));
  });

  test.each(['18446744073709551616', '-9223372036854775809', '9'.repeat(40)])(
    'a seed of %s is refused',
    async (seed) => {
      await expect(draw({ seed })).rejects.toThrow(
        `seed is ${seed}; send a whole number from -9223372036854775808 to `,
      );
    },
  );

  test('without a seed every film has its own, of 32 bits', async () => {
    const seeds = [];
    for (let run = 0; run < 3; run++) {
      await draw({ seed: undefined, steps: 1 });
      seeds.push(Number(/^Using seed: (\d+)$/.exec(mini.lines.findLast((line) => line.startsWith('Using seed'))!)![1]));
    }
    expect(new Set(seeds).size).toBe(3);
    for (const seed of seeds) expect(seed).toBeLessThan(2 ** 32);
  });

  test('the end of a long prompt is cut off, and the log shows what was cut', async () => {
    await draw({ prompt: `a lighthouse ${'storm '.repeat(100)}`, steps: 1 });
    expect(mini.lines.findLast((line) => line.startsWith('The following'))).toMatch(
      /^The following part of your input was truncated because CLIP can only handle sequences up to 77 tokens: \['storm /,
    );
  });

  test('only the two files that are named have to be there', async () => {
    const asked: (readonly WeightRepository[])[] = [];
    const locate: PredictContext['locate'] = (repositories) => {
      asked.push(repositories);
      return mini.locate(repositories);
    };
    await draw({ motion_module: 'mm_sd_v15_v2', path: 'lyriel_v16.safetensors' }, { ...mini, locate });
    const [[base, ...named]] = asked as [WeightRepository[]];
    expect(pathsOf(base!.files)).toEqual([
      'unet/config.json',
      'vae/config.json',
      'text_encoder/config.json',
      'text_encoder/model.safetensors',
    ]);
    expect(named.map(({ repository, files }) => [repository, pathsOf(files)])).toEqual([
      ['guoyww/animatediff', ['mm_sd_v15_v2.ckpt']],
      ['civitai/72396', ['lyriel_v16.safetensors']],
    ]);
  });

  test('cancel takes effect within a step, also while frames are decoded', async () => {
    for (const after of [1, 4]) {
      let steps = 0;
      const canceled: PredictContext = {
        ...mini,
        step: () => void steps++,
        signal: {
          get aborted() {
            return steps > after;
          },
          throwIfAborted() {
            if (this.aborted) throw new CanceledError();
          },
        },
      };
      await expect(draw({}, canceled)).rejects.toThrow(CanceledError);
      expect(steps).toBe(after + 1);
    }
  });

  test.each([
    [
      'a tensor',
      /^first_stage_model\.decoder\.mid\.block_1\.conv1\.weight$/,
      /does not fit the network\. Missing: decoder\.mid_block\.resnets\.0\.conv1\.weight\./,
    ],
    ['all', /^first_stage_model\./, /has no vae, only unet/],
  ])('a checkpoint without %s of its autoencoder is refused by name', async (_which, lacking, message) => {
    const folder = mkdtempSync(join(tmpdir(), 'darkroom-checkpoint-'));
    const locate: PredictContext['locate'] = async (repositories) => {
      const { folders } = await mini.locate(repositories);
      const { tensors } = await readSafetensors(join(folders[2]!, quick.path));
      const kept = new Map<string, TensorToWrite>();
      for (const [name, tensor] of tensors) {
        if (!lacking.test(name))
          kept.set(name, { dtype: tensor.dtype, shape: tensor.shape, bytes: await readBytes(tensor) });
      }
      await writeSafetensors(join(folder, quick.path), kept);
      return { set: 'full', folders: [folders[0]!, folders[1]!, folder] };
    };
    const error = await draw({ steps: 1 }, { ...mini, locate }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(WeightError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toContain(quick.path);
    rmSync(folder, { recursive: true });
  });
});

function choicesOf(name: 'path'): AnimateDiffInput['path'][] {
  return animateDiff.inputs[name].choices.filter((choice) => choice !== animateDiff.inputs[name].default);
}

function pathsOf(files: WeightRepository['files']): string[] {
  return files.map((file) => (typeof file === 'string' ? file : file.path));
}
