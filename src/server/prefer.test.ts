import { expect, test } from 'vitest';
import { parsePrefer } from './prefer.ts';

test.each([
  ['wait', 60],
  ['wait=1', 1],
  ['wait=10', 10],
  ['WAIT = 10', 10],
  ['wait="10"', 10],
  ['wait=2.2', 3],
  ['wait=0.1', 1],
  ['wait=61', 60],
  ['wait=99999', 60],
  ['respond-async, wait=5', 5],
  ['return=minimal , wait=5;strict, wait=9', 5],
])('%s is held for %d s', (header, seconds) => {
  expect(parsePrefer(header)).toEqual({ seconds, holdMs: seconds * 1000 - 250 });
});

test('the header may come twice', () => {
  expect(parsePrefer(['respond-async', 'wait=7'])?.seconds).toBe(7);
});

test.each([
  undefined,
  '',
  'respond-async',
  'wait=',
  'wait=0',
  'wait=-5',
  'wait=soon',
  'wait=1e3',
  'wait=Infinity',
  'waiting=5',
])('%s is no wish to wait', (header) => {
  expect(parsePrefer(header)).toBeUndefined();
});
