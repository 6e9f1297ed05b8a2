import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { processorTime } from '../../test/support/processor-time.ts';
import { withAccents, withoutAccents } from './clip-normalization.ts';
import { tokenizePrompt } from './clip-tokenizer.ts';
import { endToken } from './clip-vocabulary.ts';

interface Case {
  text: string;
  /** Without the padding. */
  ids: number[];
  removed: string;
}

const readCases = (name: string): Case[] =>
  JSON.parse(readFileSync(new URL(`../../test/fixtures/text/${name}.json`, import.meta.url), 'utf8'));

describe.each([
  ['4.29.1', 'clip-tokenizer', withoutAccents],
  ['4.36.2', 'clip-tokenizer-4.36', withAccents],
])('gives the ids of transformers %s', (_, file, normalize) => {
  test.each(readCases(file))('$text', ({ text, ids, removed }) => {
    const prompt = tokenizePrompt(text, normalize, endToken);
    expect(prompt.ids).toHaveLength(77);
    expect(prompt.ids.slice(0, ids.length)).toEqual(ids);
    expect(new Set(prompt.ids.slice(ids.length)).size).toBeLessThanOrEqual(1);
    expect(prompt.ids.at(-1)).toBe(49407);
    expect(prompt.removed).toBe(removed);
  });
});

test('the end of the text is followed by the padding that is asked for', () => {
  expect(tokenizePrompt('a', withAccents, 0).ids.slice(0, 5)).toEqual([49406, 320, 49407, 0, 0]);
});

test('what is padded with stands alone in the text', () => {
  const [first, second] = ([endToken, 0] as const).map(
    (padding) => tokenizePrompt('a!!?! b', withAccents, padding).ids,
  );
  // "!!?!" has no token of its own; the reference of both: trigger-word.test.ts.
  expect(second!.slice(0, 8)).toEqual([49406, 320, 0, 0, 286, 0, 321, 49407]);
  expect(first!.slice(0, 2)).toEqual([49406, 320]);
  expect(first).not.toContain(0);
});

test.each([
  ['one word', 'a'.repeat(100_000)],
  ['one word without repetition', Array.from({ length: 25_000 }, (_, index) => index.toString(36)).join('')],
  ['one run of symbols', '€'.repeat(100_000)],
  ['one run of what some pad with', '!'.repeat(100_000)],
  ['words', 'word another '.repeat(8000)],
  ['distinct words', Array.from({ length: 15_000 }, (_, index) => `w${index}x`).join(' ')],
])('takes a prompt of 100,000 characters in good time: %s', async (_, text) => {
  const kinds = [[withoutAccents, endToken] as const, [withAccents, endToken] as const, [withAccents, 0] as const];
  for (const [normalize, padding] of kinds) {
    const tokenizing = () => expect(tokenizePrompt(text, normalize, padding).ids).toHaveLength(77);
    // Measured 0.004 to 0.16 s; quadratic code takes minutes.
    expect(await processorTime(tokenizing)).toBeLessThan(5000);
  }
});
