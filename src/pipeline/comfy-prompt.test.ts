import { expect, test } from 'vitest';
import { tokenizeComfyPrompts } from './comfy-prompt.ts';

function tokenizing(prompt: string, negative = '') {
  const lines: string[] = [];
  const texts = [
    { text: prompt, field: 'prompt' },
    { text: negative, field: 'negative_prompt' },
  ];
  return { tokens: tokenizeComfyPrompts(texts, (line) => lines.push(line)), lines };
}

test('a name of an embedding is told once, in the original’s words', () => {
  const { tokens, lines } = tokenizing('embedding:EasyNegative a', 'a (embedding:hands:1.2)');
  expect(lines).toEqual([
    'warning, embedding:EasyNegative does not exist, ignoring',
    'warning, embedding:hands does not exist, ignoring',
  ]);
  expect(tokens[0]!.first.windows).toEqual(tokens[1]!.first.windows);
});

test('many names, and long ones, do not fill the log', () => {
  const { lines } = tokenizing('embedding:x '.repeat(50_000), `embedding:${'x'.repeat(50_000)}`);
  expect(lines).toHaveLength(22);
  expect(lines[20]).toBe('and 49980 more embeddings');
  expect(lines[21]).toBe(`warning, embedding:${'x'.repeat(1000)} … does not exist, ignoring`);
});

test('as many tokens as eight windows hold are read, and no more', () => {
  const longest = 'word '.repeat(600);
  expect(tokenizing(longest).tokens[0]!.second.windows).toHaveLength(8);
  expect(() => tokenizing('a', `${longest} more`)).toThrow(
    expect.objectContaining({
      name: 'InputError',
      field: 'negative_prompt',
      message: 'negative_prompt has more than 600 tokens, and 600 are accepted. Shorten it.',
    }),
  );
});
