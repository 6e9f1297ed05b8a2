import { expect, test } from 'vitest';
import { tokenizeComfyPrompts } from './comfy-prompt.ts';
import { checkNumbers } from './face-to-many-numbers.ts';

const prompts = (prompt: string, negative: string) =>
  tokenizeComfyPrompts(
    [
      { text: prompt, field: 'prompt' },
      { text: negative, field: 'negative_prompt' },
    ],
    () => {},
  );
const plain = prompts('a person', 'hat');

test('numbers pass, however large', () => {
  expect(() => checkNumbers(Float32Array.of(-3e38, 0, 3e38), false, plain)).not.toThrow();
});

test.each([
  ['custom_lora_url', 'a LoRA of the caller’s', true, prompts('(a:1e30)', 'b')],
  ['prompt', 'a weight', false, prompts('(a:1e30)', '(b)')],
  ['negative_prompt', 'the only weight', false, prompts('a', '(b:1e30)')],
])('what is none is put down to %s: %s', (field, _, ownLora, texts) => {
  for (const value of [Number.NaN, Infinity, -Infinity]) {
    expect(() => checkNumbers(Float32Array.of(0, value), ownLora, texts)).toThrow(
      expect.objectContaining({ name: 'InputError', field }),
    );
  }
});

test('where callers have no share in it the weight files are suspected', () => {
  expect(() => checkNumbers(Float32Array.of(Number.NaN), false, plain)).toThrow(
    expect.objectContaining({ name: 'RuntimeFailure', message: expect.stringContaining('weight files') }),
  );
});
