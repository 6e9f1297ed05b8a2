import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  alphasCumprod,
  type NoiseConfig,
  spacedTimesteps,
  stableDiffusionNoise,
  trainingSigmas,
} from './noise-schedule.ts';

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
    // Measured 2.0e-7: the fixture's older torch.linspace rounds a quarter of its values to the neighbouring float32.
    expect(Math.abs(table[Number(index)]! / value - 1)).toBeLessThan(4e-7);
  }
  const sum = table.reduce((total, value) => total + value, 0);
  expect(Math.abs(sum / expected.sum - 1)).toBeLessThan(1e-7);
});

// Printed by diffusers 0.29.0 on PyTorch 2.
test('the tables of Stable Diffusion and of motion modules are those of PyTorch 2', () => {
  const scaled = alphasCumprod(stableDiffusionNoise);
  expect([0, 1, 51, 500, 951, 998, 999].map((step) => scaled[step]!.toFixed(9))).toEqual(
    [0.99914998, 0.99829602, 0.95052409, 0.27633247, 0.008154999, 0.004716696, 0.004660095].map((value) =>
      Math.fround(value).toFixed(9),
    ),
  );
  expect(trainingSigmas(scaled).at(-1)!.toFixed(6)).toBe('14.614647');
});

test('leading timesteps stop below the end of the schedule where the steps do not divide it', () => {
  const leading = (steps: number, dropped: 0 | 1) =>
    spacedTimesteps('leading', { trainingSteps: 1000, steps, offset: 1, dropped });
  expect(leading(4, 0)).toEqual([751, 501, 251, 1]);
  expect(leading(3, 0)).toEqual([667, 334, 1]);
  expect(leading(1, 0)).toEqual([1]);
  expect(leading(3, 1)).toEqual([751, 501, 251]);
});

test('linspace timesteps reach both ends, and trailing ones the last step of the training', () => {
  const spaced = (spacing: 'linspace' | 'trailing', steps: number, dropped: 0 | 1) =>
    spacedTimesteps(spacing, { trainingSteps: 1000, steps, offset: 1, dropped });
  expect(spaced('linspace', 5, 0)).toEqual([999, 749.25, 499.5, 249.75, 0]);
  expect(spaced('linspace', 1, 0)).toEqual([0]);
  expect(spaced('linspace', 3, 1)).toEqual([999, 666, 333]);
  expect(spaced('trailing', 3, 0)).toEqual([999, 666, 332]);
  // The second of sixteen lies on a half, which goes to the even neighbour.
  expect(spaced('trailing', 16, 1).slice(0, 4)).toEqual([999, 937, 874, 811]);
});
