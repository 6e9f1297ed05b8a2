import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fixText } from './ftfy.ts';

const cases = JSON.parse(readFileSync(new URL('../../test/fixtures/text/ftfy.json', import.meta.url), 'utf8')) as {
  text: string;
  fixed: string;
}[];

test('puts right what ftfy puts right, and leaves what it leaves', () => {
  expect(cases.map(({ text }) => ({ text, fixed: fixText(text) }))).toEqual(cases);
});

test('a text whose every round changes a little is given up', () => {
  // One `&amp;` becomes `&` at a time, and there would be 25,000 rounds.
  expect(fixText(`&${'amp;'.repeat(25_000)}`)).toHaveLength(1 + 4 * (25_000 - 100));
});

test.each([
  ['bytes of UTF-8', 'Ã©'.repeat(50_000)],
  ['their beginnings', 'Ã'.repeat(100_000)],
  ['bytes read twice', `${'Ãƒ'.repeat(50_000)}Љ漢`],
  ['bytes that were lost', `${'ï¿½'.repeat(30_000)}\u0600`],
  ['bytes of another code page', `${'ГѓВ'.repeat(30_000)}漢`],
])('takes a hundred thousand characters of %s', (_, text) => {
  expect(fixText(text).length).toBeGreaterThan(0);
});
