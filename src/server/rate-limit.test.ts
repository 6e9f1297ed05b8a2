import { expect, test } from 'vitest';
import { createBuckets } from './rate-limit.ts';

/** 60 a minute, one a second, on a clock that the test sets. */
function clocked() {
  const clock = { now: 0 };
  return { clock, buckets: createBuckets(60, () => clock.now) };
}

test('a minute of requests passes at once, then as many as time brings', () => {
  const { clock, buckets } = clocked();
  for (let request = 0; request < 60; request++) {
    expect(buckets.take('ada')).toMatchObject({ passed: true, remaining: 59 - request, reset: request + 1 });
  }
  expect(buckets.take('ada')).toEqual({ passed: false, remaining: 0, reset: 60, retryAfter: 1 });
  clock.now = 2_500;
  expect(buckets.take('ada').passed).toBe(true);
  expect(buckets.take('ada').passed).toBe(true);
  expect(buckets.take('ada').passed).toBe(false);
  clock.now = 10 * 60_000;
  expect(buckets.look('ada').remaining).toBe(60);
});

test('refused requests and looking take nothing', () => {
  const { clock, buckets } = clocked();
  for (let request = 0; request < 60; request++) buckets.take('ada');
  for (let request = 0; request < 1000; request++) expect(buckets.take('ada').passed).toBe(false);
  for (let look = 0; look < 1000; look++) expect(buckets.look('ada').passed).toBe(false);
  clock.now = 1_000;
  expect(buckets.take('ada').passed).toBe(true);
});

test('one caller does not use up what another may ask', () => {
  const { buckets } = clocked();
  for (let request = 0; request < 60; request++) buckets.take('ada');
  expect(buckets.take('bob')).toMatchObject({ passed: true, remaining: 59 });
});

test('slow limits say how long to wait', () => {
  const buckets = createBuckets(6, () => 0);
  for (let request = 0; request < 6; request++) buckets.take('ada');
  expect(buckets.take('ada')).toMatchObject({ passed: false, retryAfter: 10, reset: 60 });
});

test('callers without number do not fill the memory, nor reset one who is throttled', () => {
  const { clock, buckets } = clocked();
  for (let caller = 0; caller < 9_999; caller++) buckets.take(`caller ${caller}`);
  clock.now = 1_000;
  for (let request = 0; request < 60; request++) buckets.take('ada');
  for (let caller = 0; caller < 5_000; caller++) buckets.take(`other ${caller}`);
  expect(buckets.take('ada').passed).toBe(false);
});
