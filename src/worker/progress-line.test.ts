import { expect, test } from 'vitest';
import { progressLine } from './progress-line.ts';

/** What replicate-javascript 1.4.0 looks for in each line (`lib/util.js`, `parseProgressFromLogs`). */
const clientPattern = /^\s*(\d+)%\s*\|.+?\|\s*(\d+)\/(\d+)/;

test.each([
  [0, 20, 0, '  0%|          | 0/20 [00:00<?, ?it/s]'],
  [8, 20, 1.57, ' 40%|████      | 8/20 [00:01<00:02,  5.10it/s]'],
  [1, 3, 90, ' 33%|███       | 1/3 [01:30<03:00, 90.00s/it]'],
  [1000, 1000, 7325, '100%|██████████| 1000/1000 [2:02:05<00:00,  7.33s/it]'],
])('%i of %i after %d s', (current, total, seconds, line) => {
  expect(progressLine(current, total, seconds)).toBe(line);
  const [, percent, done, all] = clientPattern.exec(line)!.map(Number);
  expect([percent, done, all]).toEqual([Math.floor((100 * current) / total), current, total]);
});
