/** Against the pipeline of the reference on the same small weights: test/fixtures/pipelines/sdxl-prompts/. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { watching } from '../../test/support/watching.ts';
import { CanceledError } from '../base/errors.ts';
import type { CancelSignal } from '../catalog/model.ts';
import { rowOf, type Tensor } from '../math/tensor.ts';
import { unetNetwork } from '../networks/unet.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { createResidency } from '../runtime/residency.ts';
import { withAccents } from '../text/clip-normalization.ts';
import { tokenizePrompt } from '../text/clip-tokenizer.ts';
import { predictRows } from './predict-rows.ts';
import { encodeXlPrompts, encodeXlTokens, promptFeeds, timeIds, xlPadding } from './stable-diffusion-xl-prompt.ts';

interface PromptCase {
  prompts: string[];
  notices: string[];
  height: number;
  width: number;
  timeIds: number[];
  timestep: number;
  conditions: number[];
}

const folder = new URL('../../test/fixtures/pipelines/sdxl-prompts/', import.meta.url);
const path = (name: string): string => fileURLToPath(new URL(name, folder));
const recorded = JSON.parse(readFileSync(path('case.json'), 'utf8')) as PromptCase;
const expected = (await readTensors(path('expected.safetensors'))) as Record<string, Tensor<'float32'>>;
const base = path('../sdxl-weights/stabilityai/stable-diffusion-xl-base-1.0');
const residency = createResidency({ device: 'cpu' });
afterAll(() => residency.close());

const never: CancelSignal = { aborted: false, throwIfAborted() {} };
/** Measured: 2.2e-7 for the text, 6.8e-7 for the UNet. */
const tolerance = { relL2: 2e-6 };

function expectSame(ours: Tensor<'float32'>, theirs: Tensor<'float32'> | undefined): void {
  expect(ours.dims).toEqual(theirs!.dims);
  expectClose(ours.data, theirs!.data, tolerance);
}

test('prompts are encoded as by the reference, with its notice of what did not fit', async () => {
  const lines: string[] = [];
  const { states, pooled } = await encodeXlPrompts(residency, base, recorded.prompts, (line) => lines.push(line));
  expectSame(states, expected.states);
  expectSame(pooled, expected.pooled);
  expect(lines).toEqual(recorded.notices);
});

test('the last states lack the final normalisation', async () => {
  const tokens = (padding: 0 | 49407) =>
    recorded.prompts.map((prompt) => tokenizePrompt(prompt, withAccents, padding).ids);
  const { states, pooled } = await encodeXlTokens(
    residency,
    base,
    { first: tokens(xlPadding.first), second: tokens(xlPadding.second) },
    { states: 'last' },
  );
  expectSame(states, expected.last_states);
  expectSame(pooled, expected.pooled);
});

test('rows that run one after another give what the reference gives for the batch', async () => {
  const { height, width, conditions, timestep } = recorded;
  expect(timeIds(height, width)).toEqual(recorded.timeIds);
  const encoded = { states: expected.states!, pooled: expected.pooled! };
  const unet = unetNetwork(join(base, 'unet'), { batch: 1, height: height / 8, width: width / 8, textLength: 77 });
  const prediction = await residency.use(unet, (session) => {
    const feeds = conditions.map((row) => promptFeeds(encoded, row, timeIds(height, width)));
    return predictRows(session, feeds, expected.sample!.data, timestep, never);
  });
  expectSame(prediction, expected.prediction);
});

test('a cancel takes effect between two rows', async () => {
  const unet = unetNetwork(join(base, 'unet'), { batch: 1, height: 8, width: 12, textLength: 77 });
  let asked = 0;
  let runs = 0;
  const signal: CancelSignal = {
    aborted: false,
    throwIfAborted() {
      if (asked++ === 2) throw new CanceledError();
    },
  };
  const feeds = [0, 1].map((row) =>
    promptFeeds({ states: expected.states!, pooled: expected.pooled! }, row, timeIds(64, 96)),
  );
  const counting = watching(residency, () => void runs++);
  const predicted = counting.use(unet, (session) => predictRows(session, feeds, expected.sample!.data, 1, signal));
  await expect(predicted).rejects.toThrow(CanceledError);
  expect(runs).toBe(2);
});

test('a row of a tensor', () => {
  const tensor = { type: 'float32', dims: [2, 1, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) } as const;
  expect(rowOf(tensor, 1)).toEqual({ type: 'float32', dims: [1, 1, 3], data: Float32Array.of(3, 4, 5) });
});
