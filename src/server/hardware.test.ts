import { expect, test } from 'vitest';
import { findHardware } from './hardware.ts';

test('a device on which nothing runs is not listed', async () => {
  const cpu = { sku: 'cpu', name: expect.stringMatching(/^CPU \(\d+ cores?\)$/) };
  expect(await findHardware({ device: 'auto' })).toEqual([cpu]);
  // Of a system that this one is not.
  expect(await findHardware({ device: process.platform === 'darwin' ? 'dml' : 'coreml' })).toEqual([cpu]);
});
