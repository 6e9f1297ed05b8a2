import { afterEach, expect, test, vi } from 'vitest';
import { createLogWriter } from './log-writer.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('however long a write takes, what comes meanwhile is written once, and nothing never', async () => {
  vi.useFakeTimers();
  const written: string[] = [];
  let finish = (): void => {};
  const logs = createLogWriter((text) => {
    written.push(text);
    return new Promise((resolve) => {
      finish = resolve;
    });
  });
  for (const line of ['a', 'b', 'c', 'd']) {
    logs.add(line);
    await vi.advanceTimersByTimeAsync(200);
  }
  expect(written).toEqual(['a']);
  finish();
  await vi.advanceTimersByTimeAsync(0);
  expect(written).toEqual(['a', 'bcd']);
  finish();
  await vi.advanceTimersByTimeAsync(0);
  expect(written).toEqual(['a', 'bcd']);
  logs.add('e');
  expect(await logs.end()).toBe('e');
});
