import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { alphasCumprod, leadingTimesteps, type NoiseConfig, stableDiffusionNoise } from './noise-schedule.ts';

interface Table {
  betaSchedule: NoiseConfig['betaSchedule'];
  alphasCumprod: Record<string, number>;
  sum: number;
}

const tables: Table[] = JSON.parse(
  readFileSync(new URL('../../test/fixtures/samplers/noise-tables.json', import.meta.url), 'utf8'),
);

test.each(tables)('the table $betaSchedule is that of diffusers', ({ betaSchedule, ...expected }) => {
  const table = alphasCumprod({ ...stableDiffusionNoise, betaSchedule });
  expect(table.length).toBe(1000);
  for (const [index, value] of Object.entries(expected.alphasCumprod)) {
    // Measured 2.0e-7: torch.linspace rounds a quarter of its values to the neighbouring float32.
    expect(Math.abs(table[Number(index)]! / value - 1)).toBeLessThan(4e-7);
  }
  const sum = table.reduce((total, value) => total + value, 0);
  expect(Math.abs(sum / expected.sum - 1)).toBeLessThan(1e-7);
});

test('leading timesteps stop below the end of the schedule where the steps do not divide it', () => {
  expect(leadingTimesteps(stableDiffusionNoise, 4)).toEqual([751, 501, 251, 1]);
  expect(leadingTimesteps(stableDiffusionNoise, 3)).toEqual([667, 334, 1]);
  expect(leadingTimesteps(stableDiffusionNoise, 1)).toEqual([1]);
});
