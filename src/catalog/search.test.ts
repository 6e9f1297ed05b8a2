import { expect, test } from 'vitest';
import { text } from './fields.ts';
import { mentions, relevance } from './search.ts';

const model = {
  owner: 'acme',
  name: 'face-to-many',
  description: 'Turn a face into pixel art',
  inputs: { prompt: text({ description: 'What to draw' }) },
};

test('words of the name count most, then parts of it, the description, the inputs', () => {
  const scores = ['many', 'man', 'pixel', 'prompt', 'zebra'].map((query) => relevance(model, query));
  expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  expect(new Set(scores).size).toBe(scores.length);
  expect(scores.at(-1)).toBe(0);
});

test('every word counts, in any case and with any signs between', () => {
  expect(relevance(model, 'FACE, zebra')).toBe(relevance(model, 'face') / 2);
  expect(relevance(model, ' ?! ')).toBe(1);
});

test('a text mentions a query that begins one of its words', () => {
  expect(mentions('Models that make films.', 'film of a cat')).toBe(true);
  expect(mentions('Models that make films.', 'ilm')).toBe(false);
  expect(mentions('Models that make films.', '')).toBe(false);
});
