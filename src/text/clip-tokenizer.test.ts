import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { tokenizePrompt } from './clip-tokenizer.ts';

interface Case {
  text: string;
  /** Without the padding. */
  ids: number[];
  removed: string;
}

const cases: Case[] = JSON.parse(
  readFileSync(new URL('../../test/fixtures/text/clip-tokenizer.json', import.meta.url), 'utf8'),
);

describe('gives the ids of transformers', () => {
  test.each(cases)('$text', ({ text, ids, removed }) => {
    const prompt = tokenizePrompt(text);
    expect(prompt.ids).toHaveLength(77);
    expect(prompt.ids.slice(0, ids.length)).toEqual(ids);
    expect(new Set(prompt.ids.slice(ids.length)).size).toBeLessThanOrEqual(1);
    expect(prompt.ids.at(-1)).toBe(49407);
    expect(prompt.removed).toBe(removed);
  });
});

test.each([
  ['one word', 'a'.repeat(100_000)],
  ['one word without repetition', Array.from({ length: 25_000 }, (_, index) => index.toString(36)).join('')],
  ['one run of symbols', '€'.repeat(100_000)],
  ['words', 'word another '.repeat(8000)],
  ['distinct words', Array.from({ length: 15_000 }, (_, index) => `w${index}x`).join(' ')],
])('takes a prompt of 100,000 characters in good time: %s', (_, text) => {
  const start = performance.now();
  expect(tokenizePrompt(text).ids).toHaveLength(77);
  // Measured 0.004 to 0.16 s; quadratic code takes minutes.
  expect(performance.now() - start).toBeLessThan(5000);
});
