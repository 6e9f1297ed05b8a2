import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkTriggers, countTriggers, identityPrompt, withoutTrigger } from './trigger-word.ts';

interface Case {
  prompt: string;
  photos: number;
  ids: number[];
  /** Of the second tokenizer, which pads with 0. */
  ids2: number[];
  /** In the second one's tokens; of the first one's they are where both are the same. */
  classTokens: number[];
  textOnly: string;
}

const cases: Case[] = JSON.parse(
  readFileSync(new URL('../../test/fixtures/text/trigger-word.json', import.meta.url), 'utf8'),
);

describe('does what the pipeline of PhotoMaker does to', () => {
  test.each(cases)('$prompt', ({ prompt, photos, ids, ids2, classTokens, textOnly }) => {
    expect(identityPrompt(prompt, photos, 49407).ids).toEqual(ids);
    const second = identityPrompt(prompt, photos, 0);
    expect(second.ids).toEqual(ids2);
    expect([...second.classTokens.entries()].filter(([, is]) => is).map(([index]) => index)).toEqual(classTokens);
    expect(withoutTrigger(prompt)).toBe(textOnly);
  });
});

test('the trigger is found inside words, in lower case alone', () => {
  expect(['imgur img', 'a woman img, img', 'timg', 'a man IMG', ''].map(countTriggers)).toEqual([2, 2, 1, 0, 0]);
});

test.each([
  ['a man', /^Cannot find the trigger word 'img' in text prompt!.*prompt/],
  ['a man img or imgur', /^Cannot use multiple trigger words 'img' in text prompt! prompt has it 2 times/],
])('the prompt "%s" is refused', (prompt, message) => {
  const refused = expect.objectContaining({ field: 'prompt', message: expect.stringMatching(message) });
  expect(() => identityPrompt(prompt, 1, 49407)).toThrow(refused);
  expect(() => withoutTrigger(prompt)).toThrow(refused);
  // The prompt comes first, whatever is in the negative one.
  expect(() => checkTriggers(prompt, 'img')).toThrow(refused);
});

test('the negative prompt may not have the trigger', () => {
  const message = /^Cannot use trigger word 'img' in negative prompt!.*negative_prompt/;
  for (const negative of ['img', 'a timg', 'img img']) {
    expect(() => checkTriggers('a man img', negative)).toThrow(
      expect.objectContaining({ field: 'negative_prompt', message: expect.stringMatching(message) }),
    );
  }
  for (const negative of ['', 'IMG', 'i mg']) checkTriggers('a man img', negative);
});
