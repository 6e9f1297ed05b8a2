import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runSchedulerCase } from './scheduler-case.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/schedulers/', import.meta.url));
const cases = (await readdir(fixtures)).filter((name) => name.includes('-steps-'));

test.each(cases)('%s', async (name) => {
  const errors = await runSchedulerCase(join(fixtures, name));
  expect(errors.map(({ output }) => output)).toContain('samples');
  for (const { output, relL2 } of errors) expect(relL2, output).toBeLessThan(2e-6);
});

/** A copy of a case with some of its case.json replaced. */
async function withChanges<Result>(
  name: string,
  changes: Record<string, unknown>,
  use: (folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-case-'));
  try {
    await cp(join(fixtures, name), folder, { recursive: true });
    const path = join(folder, 'case.json');
    const json = JSON.parse((await readFile(path, 'utf8')).replaceAll('-Infinity', 'null'));
    await writeFile(path, JSON.stringify({ ...json, ...changes }));
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('a wrong expectation shows', async () => {
  const name = 'dpm-solver-0.29.2-steps-15';
  const { config } = JSON.parse(
    (await readFile(join(fixtures, name, 'case.json'), 'utf8')).replaceAll('-Infinity', 'null'),
  );
  const errors = await withChanges(name, { config: { ...config, solver_type: 'heun' } }, runSchedulerCase);
  expect(errors.find(({ output }) => output === 'samples')!.relL2).toBeGreaterThan(1e-3);
  expect(errors.find(({ output }) => output === 'timesteps')!.relL2).toBe(0);
});

test.each<[string, Record<string, unknown>, RegExp]>([
  ['ddim-0.29.2-steps-3', { kind: 'network' }, /its kind is "network", not "scheduler"/],
  ['ddim-0.29.2-steps-3', { scheduler: 7 }, /"scheduler" must be the name/],
  ['ddim-0.29.2-steps-3', { config: [] }, /"config" must be an object/],
  ['ddim-0.29.2-steps-3', { steps: '3' }, /"steps" must be a number/],
  ['ddim-0.29.2-steps-3', { inputs: '../inputs.safetensors' }, /lies outside/],
  ['ddim-0.29.2-steps-3', { expected: '/etc/passwd' }, /lies outside/],
  ['ddim-0.29.2-steps-3', { expected: 'none.safetensors' }, /none\.safetensors/],
  ['ddim-0.29.2-steps-3', { expected: 'inputs.safetensors' }, /cannot expect the tensor "(sample|model_outputs)"/],
  ['ddim-0.29.2-steps-3', { inputs: 'expected.safetensors' }, /lack the tensor "sample"/],
  ['ddim-0.29.2-steps-3', { steps: 2 }, /holds 3 calls; the sampler made 2/],
  ['ddim-0.29.2-steps-3', { steps: 4 }, /entry 3 of "model_outputs"/],
  ['ddim-0.29.2-steps-3', { options: { eta: 1 } }, /entry 0 of "noise"/],
  ['ddim-0.29.2-steps-3', { options: { order: 2 } }, /the option "order" is not known/],
  ['ddim-0.29.2-steps-3', { options: { eta: 'much' } }, /"eta" must be a number/],
  ['heun-0.29.2-steps-3', { options: {} }, /"samples" has 120 values where 72 came out/],
  ['heun-0.29.2-steps-3', { options: { perCall: 1 } }, /"perCall" must be true or false/],
])('%s with %o is refused', async (name, changes, message) => {
  await expect(withChanges(name, changes, runSchedulerCase)).rejects.toThrow(message);
});

test('a folder without a case is refused', async () => {
  await expect(runSchedulerCase(fixtures)).rejects.toThrow(/is no case: there is no case.json in it/);
});
