/** The numbered statements of docs/api.md, and the tests and pages that name them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const folder = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));
const read = (name: string, ending: string): string[] =>
  readdirSync(folder(name), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending))
    .map((path) => readFileSync(join(folder(name), path), 'utf8'));

const contract = readFileSync(folder('docs/api.md'), 'utf8');
const stated = [...contract.matchAll(/^- \*\*([SDA]\d+)\*\* /gm)].map(([, number]) => number!);
/** Titles begin with the numbers of what they prove. */
const proven = [...read('src', '.test.ts'), ...read('test', '.test.ts')].flatMap((text) =>
  [...text.matchAll(/['"`]((?:[SDA]\d{1,2} )+)/g)].flatMap(([, numbers]) => numbers!.trim().split(' ')),
);

test('each statement has one number', () => {
  expect(stated.length).toBeGreaterThan(100);
  expect(stated.toSorted()).toEqual([...new Set(stated)].toSorted());
});

test('statements stand under the heading of their letter', () => {
  for (const section of contract.split(/^## /m).slice(1)) {
    const letters = new Set([...section.matchAll(/^- \*\*([SDA])\d+\*\* /gm)].map(([, letter]) => letter));
    expect([...letters]).toEqual([section[0]]);
  }
});

test('each statement is proven by a test', () => {
  expect(stated.filter((number) => !proven.includes(number))).toEqual([]);
});

test('tests and pages name no other statement', () => {
  const named = read('docs', '.md').flatMap((text) => text.match(/(?<=[(\s])[SDA]\d{1,2}(?=[),.:;\s])/g) ?? []);
  expect([...new Set([...proven, ...named])].filter((number) => !stated.includes(number))).toEqual([]);
});
