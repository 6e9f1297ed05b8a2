/** `darkroom serve` as its operator meets it: refusals at the start, readiness, a graceful end, the command line. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addDatabase } from '../support/databases.ts';
import { shareMiniSet } from '../support/mini-set.ts';
import { type Program, runProgram, startProgram } from '../support/program.ts';
import { waitUntil } from '../support/wait-until.ts';

const testModels = fileURLToPath(new URL('../support/models/', import.meta.url));
const photograph = fileURLToPath(new URL('../fixtures/photos/eileen-collins.jpg', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'darkroom-serve-'));
  // The other folders are new ones.
  for (const name of ['held', 'stuck']) await addDatabase(join(folder, name));
  shareMiniSet(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function health(server: Program): Promise<{ queued?: number; reasons?: string[] }> {
  return (await (await fetch(`${server.origin}/readyz`)).json()) as object;
}

test.each([
  [{ PORT: 'five' }, /PORT is "five"; write a whole number/],
  [{ DARKROOM_RETENTION: 'soon' }, /DARKROOM_RETENTION is "soon"; write a duration such as/],
  [{ DARKROOM_AUTH: 'none', DARKROOM_API_TOKENS: 'r8_one' }, /DARKROOM_AUTH is none, but DARKROOM_API_TOKENS/],
  [{ DARKROOM_CORS_ORIGINS: 'https://app.example/' }, /DARKROOM_CORS_ORIGINS holds "https:\/\/app\.example\/"; write/],
  [{ DARKROOM_MODELS: '/nowhere' }, /model folder \/nowhere cannot be read/],
  [{ DATABASE_URL: 'postgres://127.0.0.1:1/none' }, /DATABASE_URL|database/i],
])('serve with %j ends with code 2 and says what to change', async (environment, message) => {
  const { code, stdout, stderr } = await runProgram(['serve'], {
    PORT: '0',
    DARKROOM_HOME: join(folder, 'refused'),
    DARKROOM_LOG_LEVEL: 'silent',
    ...environment,
  });
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/\n {4}at /);
  expect(stdout).toBe('');
  expect(code).toBe(2);
});

test('a second server on the same folder is refused with the first one’s process id', async () => {
  const home = join(folder, 'shared');
  const first = await startProgram('serve', { PORT: '0', DARKROOM_HOME: home });
  const second = await runProgram(['serve'], { PORT: '0', DARKROOM_HOME: home, DARKROOM_LOG_LEVEL: 'silent' });
  expect(second.code).toBe(2);
  expect(second.stderr).toContain(String(first.pid));
  expect(second.stderr).toContain('DARKROOM_HOME');
  expect(await first.end()).toBe(0);
});

test('SIGTERM ends the server in order although a reply is held', async () => {
  const server = await startProgram('serve', {
    PORT: '0',
    DARKROOM_HOME: join(folder, 'held'),
    DARKROOM_CONCURRENCY: '0',
  });
  expect((await fetch(`${server.origin}/readyz`)).status).toBe(200);
  const held = fetch(`${server.origin}/v1/models/rossjillian/controlnet/predictions`, {
    method: 'POST',
    headers: { prefer: 'wait=60', 'content-type': 'application/json' },
    body: JSON.stringify({ input: { image: 'https://example.com/a.png', prompt: 'a', structure: 'canny' } }),
  });
  await waitUntil('it is queued', async () => (await health(server)).queued === 1);
  expect(await server.end()).toBe(0);
  expect(await (await held).json()).toMatchObject({ status: 'starting', output: null });
});

test('a server whose engine cannot start is not ready, and says so', async () => {
  const models = join(folder, 'models');
  mkdirSync(models);
  const model = join(models, 'fragile.js');
  // Loads in the server, which is a main thread, and not in an engine's worker thread.
  const body = `import { isMainThread } from 'node:worker_threads';
    if (!isMainThread) throw new Error('not here');
    export default { owner: 'test', name: 'fragile', version: '${'ab'.repeat(32)}', description: 'x', createdAt: 'x',
      inputs: {}, output: 'file', weights: [], async *predict() {} };`;
  writeFileSync(model, body);
  const server = await startProgram('serve', {
    PORT: '0',
    DARKROOM_HOME: join(folder, 'stuck'),
    DARKROOM_MODELS: models,
  });
  await waitUntil('it is not ready', async () => (await fetch(`${server.origin}/readyz`)).status === 503);
  expect((await health(server)).reasons).toEqual(['No engine can be started; the log says why.']);
  expect((await fetch(`${server.origin}/healthz`)).status).toBe(200);
  await waitUntil('the log says why', () => server.errors().includes('not here'));
  expect(await server.end()).toBe(0);
});

test('predict saves the picture and needs no server', async () => {
  const flags = [
    `image=@${photograph}`,
    'structure=canny',
    'prompt=a bust',
    'steps=2',
    'image_resolution=256',
    'seed=1',
  ];
  const args = ['predict', 'controlnet', ...flags.flatMap((flag) => ['-i', flag])];
  const made = join(folder, 'made');
  mkdirSync(made);
  const one = await runProgram([...args, '-o', 'out.png'], { DARKROOM_HOME: folder }, made);
  expect(one).toMatchObject({ code: 0, stdout: 'out.png\n' });
  expect(one.stderr).toContain('100%|██████████| 2/2');
  const two = await runProgram(
    [...args, '-i', 'return_reference_image=true', '-o', 'p.png', '-q'],
    { DARKROOM_HOME: folder },
    made,
  );
  expect(two).toMatchObject({ code: 0, stdout: 'p-0.png\np-1.png\n', stderr: '' });
  expect(readdirSync(made).sort()).toEqual(['out.png', 'p-0.png', 'p-1.png']);
});

test('predict tells a wrong input (2) from a prediction that failed (1)', async () => {
  const environment = { DARKROOM_HOME: folder, DARKROOM_MODELS: testModels };
  const wrong = await runProgram(['predict', 'controlnet', '-i', 'prompt=a', '-i', 'low_threshold=900'], environment);
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toMatch(/image is required[\s\S]*structure is required[\s\S]*low_threshold: Must be less than/);
  const notAnImage = ['-i', `image=@${fileURLToPath(import.meta.url)}`, '-i', 'prompt=a', '-i', 'structure=canny'];
  expect((await runProgram(['predict', 'controlnet', ...notAnImage], environment)).stderr).toMatch(/not a picture/);
  const missing = { ...environment, DARKROOM_WEIGHTS: 'full', HF_HOME: folder };
  const flags = ['-i', `image=@${photograph}`, '-i', 'prompt=a', '-i', 'structure=canny'];
  const failed = await runProgram(['predict', 'controlnet', ...flags], missing);
  expect(failed.code).toBe(1);
  expect(failed.stderr).toMatch(/stable-diffusion-v1-5.*DARKROOM_WEIGHTS_PATH/s);
});

test('the other commands explain themselves', async () => {
  expect((await runProgram(['--help'])).stdout).toContain('darkroom <command> --help');
  expect((await runProgram([])).code).toBe(2);
  expect((await runProgram(['models'])).stdout).toContain('rossjillian/controlnet:795433b1');
  expect((await runProgram(['models', 'rossjillian/controlnet'])).stdout).toContain('CreativeML OpenRAIL-M');
  expect(await runProgram(['modles'])).toMatchObject({ code: 2, stderr: expect.stringContaining('serve, worker') });
  expect(await runProgram(['serve', '--prot', '1'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--prot'),
  });
  const worker = await runProgram(['worker'], { DATABASE_URL: '' });
  expect(worker).toMatchObject({ code: 2, stderr: expect.stringContaining('needs DATABASE_URL') });
});
