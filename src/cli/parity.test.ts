import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));

let base: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'darkroom-parity-'));
});
afterAll(() => rm(base, { recursive: true }));

function parity(...args: string[]): Promise<{ code: number; output: string; errors: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'parity', ...args], (error, output, errors) => {
      resolve({ code: error ? Number(error.code) : 0, output, errors });
    });
  });
}

/** A copy of a case, changed. */
async function changed(name: string, change: (json: Record<string, unknown>) => void): Promise<string> {
  const folder = await mkdtemp(join(base, `${name}-`));
  await cp(join(fixtures, 'networks', name), folder, { recursive: true });
  const path = join(folder, 'case.json');
  const json = JSON.parse(await readFile(path, 'utf8'));
  change(json);
  await writeFile(path, JSON.stringify(json));
  return folder;
}

test('prints the errors of every output, of networks and samplers', async () => {
  const sampler = join(fixtures, 'schedulers', 'ddim-0.29.2-steps-2');
  const { code, output } = await parity(join(fixtures, 'networks', 'resampler'), sampler);
  expect(code).toBe(0);
  expect(output).toContain('networks/resampler  (resampler)');
  expect(output).toMatch(
    /\n {2}output +max abs +relative L2 +tolerance\n {2}tokens +\d\.\d\de-\d +\d\.\d\de-7 +1\.00e-4 {2}ok\n/,
  );
  expect(output).toContain('(DDIMScheduler)');
  expect(output).toMatch(/\n {2}samples +.* ok\n/);
  expect(output).toContain('All 2 cases agree.');
});

test('an output above its tolerance fails the run, and the other cases are checked all the same', async () => {
  const strict = await changed('resampler', (json) => {
    json.tolerance = { relL2: 1e-9 };
  });
  const { code, output } = await parity(
    strict,
    join(fixtures, 'nowhere'),
    join(fixtures, 'networks', 'safety-checker'),
  );
  expect(code).toBe(1);
  expect(output).toMatch(/tokens .* 1\.00e-9 {2}ABOVE\n/);
  expect(output).toMatch(/nowhere\n {2}cannot be run: .*there is no case\.json in it/);
  expect(output).toMatch(/scores .* ok\n/);
  expect(output).toContain('1 of 3 cases agree.');
});

describe('a broken case is told with its reason', () => {
  test.each<[string, (json: Record<string, unknown>) => void, RegExp]>([
    ['another kind', (json) => (json.kind = 'picture'), /"kind" is "picture"; "network" and "scheduler"/],
    ['an unknown network', (json) => (json.network = 'toString'), /network "toString"; there are clip-text, /],
    ['a missing weight file', (json) => (json.weights = ['gone.bin']), /gone\.bin cannot be opened \(ENOENT\)/],
    ['no list of weights', (json) => (json.weights = []), /"weights" is not a list of files/],
    ['weights of something else', (json) => (json.weights = ['inputs.safetensors']), /no tensor "latents"/],
    ['a missing configuration', (json) => (json.config = 'gone.json'), /gone\.json cannot be read \(ENOENT\)/],
    [
      'inputs of another name',
      (json) => (json.inputs = 'expected.safetensors'),
      /inputs lack "embeds"; there are tokens/,
    ],
    ['outputs that there are not', (json) => (json.expected = 'inputs.safetensors'), /expects an output "embeds"/],
    ['an option that there is not', (json) => (json.options = { scale: 2 }), /options name scale; .* has none/],
    ['a tolerance that is none', (json) => (json.tolerance = { relL2: '1e-4' }), /"tolerance" is not/],
  ])('%s', async (_, change, message) => {
    const { code, output, errors } = await parity(await changed('resampler', change));
    expect(output).toMatch(message);
    expect(output).not.toContain('    at ');
    expect({ code, errors }).toEqual({ code: 1, errors: '' });
  });

  test('a case.json that is not JSON', async () => {
    const folder = await changed('resampler', () => {});
    await writeFile(join(folder, 'case.json'), '{"kind": ');
    expect((await parity(folder)).output).toMatch(/cannot be run: .*case\.json is not JSON/);
  });
});

test('a case may say nothing of options and tolerance, and be named by its file', async () => {
  const folder = await changed('photomaker-id', (json) => {
    delete json.options;
    delete json.tolerance;
  });
  const { code, output } = await parity(join(folder, 'case.json'));
  expect(output).toMatch(/prompt_embeds .* 1\.00e-4 {2}ok/);
  expect(code).toBe(0);
});

test('without a folder it says how to call it, and the help tells how to make a case', async () => {
  expect(await parity()).toMatchObject({ code: 2, errors: expect.stringContaining('Name one case folder or more') });
  const { output } = await parity('--help');
  for (const word of ['case.json', 'clip-text', 'motion-unet', 'safety-checker', 'scheduler', 'perCall']) {
    expect(output).toContain(word);
  }
});
