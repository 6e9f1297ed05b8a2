import { expect, test } from 'vitest';
import { runsOn } from './device.ts';

test('networks run on the CPU, and not on a device that no system has', async () => {
  expect(await runsOn('cpu')).toBe(true);
  expect(await runsOn('abacus')).toBe(false);
});
