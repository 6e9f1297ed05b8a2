import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { applyStyle, type PhotomakerStyle, photomakerStyleNames } from './photomaker-styles.ts';

interface Recorded {
  prompt: string;
  negative_prompt: string;
  /** What the original makes of them, by style and in its order. */
  styled: Record<string, { prompt: string; negative_prompt: string }>;
}

const recorded: Recorded = JSON.parse(
  readFileSync(new URL('../../test/fixtures/text/photomaker-styles.json', import.meta.url), 'utf8'),
);

test('the styles are those of the original, in its order', () => {
  expect(photomakerStyleNames).toEqual(Object.keys(recorded.styled));
  expect(photomakerStyleNames).toHaveLength(11);
});

test.each(Object.entries(recorded.styled))('%s gives the prompts of the original, byte for byte', (name, expected) => {
  const { prompt, negativePrompt } = applyStyle(name as PhotomakerStyle, recorded.prompt, recorded.negative_prompt);
  expect({ prompt, negative_prompt: negativePrompt }).toEqual(expected);
});
