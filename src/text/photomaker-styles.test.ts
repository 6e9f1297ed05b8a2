import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { withAccents } from './clip-normalization.ts';
import { tokenizePrompt } from './clip-tokenizer.ts';
import { endToken } from './clip-vocabulary.ts';
import { applyStyle, type PhotomakerStyle, photomakerStyleNames } from './photomaker-styles.ts';
import { withoutTrigger } from './trigger-word.ts';

interface Styled {
  prompt: string;
  negative_prompt: string;
  /** Of the model's default prompts: what the text encoders see before the photographs take part. */
  default_ids: number[];
  default_negative_ids: number[];
}

interface Recorded {
  prompt: string;
  negative_prompt: string;
  default_prompt: string;
  default_negative_prompt: string;
  /** What the original makes of them, by style and in its order. */
  styled: Record<string, Styled>;
}

const recorded: Recorded = JSON.parse(
  readFileSync(new URL('../../test/fixtures/text/photomaker-styles.json', import.meta.url), 'utf8'),
);

test('the styles are those of the original, in its order', () => {
  expect(photomakerStyleNames).toEqual(Object.keys(recorded.styled));
  expect(photomakerStyleNames).toHaveLength(11);
});

describe.each(Object.entries(recorded.styled))('%s', (name, expected) => {
  const style = name as PhotomakerStyle;

  test('gives the prompts of the original, byte for byte', () => {
    const { prompt, negativePrompt } = applyStyle(style, recorded.prompt, recorded.negative_prompt);
    expect(prompt).toBe(expected.prompt);
    expect(negativePrompt).toBe(expected.negative_prompt);
  });

  test('has the tokens of the original with the default prompts', () => {
    const { prompt, negativePrompt } = applyStyle(style, recorded.default_prompt, recorded.default_negative_prompt);
    const tokens = (text: string): number[] => tokenizePrompt(text, withAccents, endToken).ids;
    expect(tokens(withoutTrigger(prompt))).toEqual(expected.default_ids);
    expect(tokens(negativePrompt)).toEqual(expected.default_negative_ids);
  });
});
