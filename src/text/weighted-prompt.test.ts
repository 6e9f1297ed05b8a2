import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { processorTime } from '../../test/support/processor-time.ts';
import { InputError } from '../base/errors.ts';
import type { Tensor } from '../math/tensor.ts';
import { readTensors } from '../parity/case-tensors.ts';
import type { Padding } from './clip-tokenizer.ts';
import { parseWeights } from './prompt-weights.ts';
import { emptyWindow, hasWeights, tokenizeWeighted, weightStates } from './weighted-prompt.ts';

const fixture = (name: string): URL => new URL(`../../test/fixtures/text/${name}`, import.meta.url);
const readJson = (name: string) => JSON.parse(readFileSync(fixture(name), 'utf8'));

interface Case {
  prompt: string;
  padding: Padding;
  windows: { ids: number[]; weights: number[] }[];
}

describe('gives the windows of ComfyUI for', () => {
  test.each(readJson('weighted-prompts.json') as Case[])('$prompt', ({ prompt, padding, windows }) => {
    expect(tokenizeWeighted(prompt, padding, 'prompt').windows).toEqual(windows);
  });
});

test('weights move states away from the empty prompt, rounded as by ComfyUI', async () => {
  const { states, weighted, empty_ids } = await readTensors(fileURLToPath(fixture('weighted-states.safetensors')));
  const prompt = tokenizeWeighted(readJson('weighted-states.json').prompt, 0, 'prompt');
  expect(hasWeights(prompt)).toBe(true);
  expect(emptyWindow(0)).toEqual(Array.from(empty_ids!.data, Number));
  expect(weightStates(states as Tensor<'float32'>, prompt)).toEqual(weighted);
});

test('without weights the windows are joined as they are', async () => {
  const { states } = await readTensors(fileURLToPath(fixture('weighted-states.safetensors')));
  const prompt = tokenizeWeighted('word '.repeat(100), 0, 'prompt');
  expect(hasWeights(prompt)).toBe(false);
  const joined = weightStates(states as Tensor<'float32'>, prompt);
  expect(joined.dims).toEqual([1, 154, 5]);
  expect(joined.data).toEqual(states!.data.slice(0, 154 * 5));
});

test('names of textual inversions are told', () => {
  expect(tokenizeWeighted('embedding:EasyNegative, a (embedding:hands:1.2)', 0, 'prompt').passedOver).toEqual([
    'EasyNegative,',
    'hands',
  ]);
});

test.each(['(a:inf)', '(a:nan)', '(a:1e999)', '(a:1e39)', '(a:-4e38)'])('the weight of %s is refused', (prompt) => {
  expect(() => tokenizeWeighted(prompt, 0, 'prompt')).toThrow(InputError);
});

test.each([
  ['brackets in brackets', '('.repeat(50_000) + ')'.repeat(50_000)],
  ['opening brackets', '('.repeat(100_000)],
  ['closing brackets', ')'.repeat(100_000)],
  ['pairs', '()'.repeat(50_000)],
  ['escapes', '\\('.repeat(50_000)],
  ['colons', `(${':'.repeat(100_000)})`],
  ['a long number', `(a:${'1_'.repeat(50_000)}x)`],
  ['nested weights', '(a:1.1'.repeat(99) + ')'.repeat(99)],
])('hostile %s are parsed or refused in good time', async (_, prompt) => {
  const parsing = async (): Promise<void> => {
    try {
      parseWeights(prompt, 'prompt');
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
    }
  };
  expect(await processorTime(parsing)).toBeLessThan(2000);
});
