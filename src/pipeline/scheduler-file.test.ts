import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { samplerFromConfig } from '../schedulers/from-config.ts';
import { readSchedulerConfig } from './scheduler-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'darkroom-scheduler-'));
mkdirSync(join(folder, 'scheduler'));
const file = join(folder, 'scheduler', 'scheduler_config.json');
afterAll(() => rmSync(folder, { recursive: true }));

test('an infinite number, as Python writes it, is read, and the configuration makes a sampler', async () => {
  writeFileSync(
    file,
    '{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, "steps_offset": 1}',
  );
  const config = await readSchedulerConfig(folder);
  expect(config).toMatchObject({ lambda_min_clipped: Number.NEGATIVE_INFINITY, steps_offset: 1 });
  expect(samplerFromConfig('DPMSolverMultistepScheduler', config, { steps: 3 }).initialNoise).toBe(1);
});

test('keys of other releases and classes do no harm', async () => {
  writeFileSync(
    file,
    '{"noise_sampler_seed": null, "use_beta_sigmas": false, "set_alpha_to_one": false, "steps_offset": 1}',
  );
  const config = await readSchedulerConfig(folder);
  expect(config).toEqual({ set_alpha_to_one: false, steps_offset: 1 });
  expect(samplerFromConfig('EulerDiscreteScheduler', config, { steps: 3 }).initialNoise).toBeGreaterThan(1);
});

test.each([
  ['cut off', '{"beta_start": 0.0'],
  ['no object', '[]'],
])('%s: the error names the file', async (_, text) => {
  writeFileSync(file, text);
  await expect(readSchedulerConfig(folder)).rejects.toThrow(/scheduler_config\.json is not that of a scheduler/);
});

test('missing: the error names the file', async () => {
  await expect(readSchedulerConfig(join(folder, 'nowhere'))).rejects.toThrow(/scheduler_config\.json.* \(ENOENT\)/);
});
