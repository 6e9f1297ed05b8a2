import { expect, test } from 'vitest';
import { lastPlainStep, promptOfStep } from './prompt-switch.ts';

// The values of the original's expression, int(float(ratio) / 100 * steps) and at most 30.
test.each([
  [20, 20, 4],
  [15, 20, 3],
  [50, 20, 10],
  [20, 50, 10],
  [50, 100, 30],
  [29, 100, 28],
  [50, 4, 2],
  [50, 2, 1],
  [15, 2, 0],
  [50, 1, 0],
])('at %i percent of %i steps the identity comes in after step %i', (ratio, steps, last) => {
  expect(lastPlainStep(ratio, steps)).toBe(last);
});

test('the step of the switch itself still sees the plain prompt', () => {
  expect([0, 1, 2, 3].map((step) => promptOfStep(step, 1, 'plain', 'identity'))).toEqual([
    'plain',
    'plain',
    'identity',
    'identity',
  ]);
});
