import { expect, test } from 'vitest';
import { progressBar } from './progress.ts';

test.each([
  [0, 30, 0, /^░{30} 0\/30 steps$/],
  [1, 30, 0.004, /^█░{29} 1\/30 steps, about 1 s left$/],
  [10, 30, 22.3, /^█{10}░{20} 10\/30 steps, about 45 s left$/],
  [1, 17, 3.72, /, about 1 min left$/],
  [2, 30, 250, /, about 58 min left$/],
  [1, 31, 119.9, /, about 1 h 0 min left$/],
  [1, 500, 125, /, about 17 h 20 min left$/],
  [30, 30, 3_750, /^█{30} 30\/30 steps$/],
])('%i of %i steps after %d s', (current, total, seconds, bar) => {
  expect(progressBar(current, total, seconds)).toMatch(bar);
});
