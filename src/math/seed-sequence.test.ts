import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { seedSequence } from './seed-sequence.ts';

interface Sequence {
  entropy: string;
  path: number[];
  words: number[];
}

const sequences: Sequence[] = JSON.parse(
  readFileSync(new URL('../../test/fixtures/schedulers/seed-sequence.json', import.meta.url), 'utf8'),
);

test.each(sequences)('the words of seed $entropy at $path are NumPy’s', ({ entropy, path, words }) => {
  expect([...seedSequence(BigInt(entropy), { path, poolSize: 24, words: words.length })]).toEqual(words);
});

test('a seed longer than the pool counts in full', () => {
  const long = (2n ** 96n + 5n) * 2n ** 64n;
  const words = (entropy: bigint) => [...seedSequence(entropy, { poolSize: 4, words: 2 })];
  // numpy.random.SeedSequence(entropy, pool_size=4).generate_state(2)
  expect(words(long)).toEqual([3300015740, 476189200]);
});
