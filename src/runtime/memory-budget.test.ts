import { totalmem } from 'node:os';
import { expect, test } from 'vitest';
import { readSettings } from '../base/settings.ts';
import { memoryBudget } from './memory-budget.ts';

const budget = (environment: Record<string, string>, available?: number): number =>
  memoryBudget(readSettings(environment), available);

test.each([
  [{}, 16e9, 12e9],
  [{ DARKROOM_CONCURRENCY: '3' }, 16e9, 4e9],
  [{ DARKROOM_CONCURRENCY: '0' }, 16e9, 12e9],
  [{ DARKROOM_MEMORY: '6GB' }, 16e9, 6e9],
  [{ DARKROOM_MEMORY: '1.5GiB', DARKROOM_CONCURRENCY: '2' }, 16e9, 0.75 * 2 ** 30],
  [{ DARKROOM_MEMORY: '500 MiB' }, 16e9, 500 * 2 ** 20],
  [{ DARKROOM_MEMORY: '123456789' }, 16e9, 123_456_789],
])('%j of %i bytes', (environment, available, expected) => {
  expect(budget(environment, available)).toBe(expected);
});

test('by default of this machine', () => {
  expect(budget({})).toBeGreaterThan(0);
  expect(budget({})).toBeLessThan(totalmem());
});

test.each(['lots', '0', '-1', '6 GBit', '1e9'])('"%s" is no size', (value) => {
  expect(() => budget({ DARKROOM_MEMORY: value })).toThrow(`DARKROOM_MEMORY is "${value}"; write a size such as 6GiB`);
});
