/** Tokens as the operator meets them: the first one, the command line beside a running server and without one. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addDatabase, databaseKinds, makePlace } from '../support/databases.ts';
import { type Program, runProgram, startProgram } from '../support/program.ts';
import { waitUntil } from '../support/wait-until.ts';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'darkroom-tokens-'));
  for (const name of ['reached', 'killed', 'misused']) await addDatabase(join(folder, name));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Several programs one after the other, each with a database to open. */
const timeout = 180_000;

const serving = { PORT: '0', DARKROOM_CONCURRENCY: '0', DARKROOM_LOG_LEVEL: 'debug' };

async function statusWith(server: Program, token?: string): Promise<number> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return (await fetch(`${server.origin}/v1/predictions`, { headers })).status;
}

test.each(databaseKinds())('create, list and revoke beside a running server on %s', { timeout }, async (kind) => {
  const place = await makePlace(kind);
  const env = { DARKROOM_HOME: place.home, DATABASE_URL: place.databaseUrl ?? '' };
  const server = await startProgram('serve', { ...serving, ...env });
  expect(await statusWith(server)).toBe(200);

  const created = await runProgram(['token', 'create', '--name', 'laptop'], env);
  expect(created.stderr).toMatch(/^Token [0-9a-f]{12} of the account local\. It is shown only now\.\n.*the first/);
  expect(created.stdout).toMatch(/^drk_[0-9a-f]{40}\n$/);
  const token = created.stdout.trim();
  await waitUntil('a token is asked for', async () => (await statusWith(server)) === 401);
  expect(await statusWith(server, token)).toBe(200);

  const other = await runProgram(['token', 'create', '--name', 'web shop', '--account', 'shop'], env);
  expect(other.stderr).not.toContain('the first');
  const account = await fetch(`${server.origin}/account`, {
    headers: { authorization: `Token ${other.stdout.trim()}` },
  });
  expect(await account.json()).toMatchObject({ type: 'user', username: 'shop' });

  const { stdout: list } = await runProgram(['token', 'list'], env);
  expect(list).toMatch(/^ID +ACCOUNT +MADE +LAST USED +NAME\n/);
  expect(list).toMatch(/[0-9a-f]{12} {2}local .* laptop\n[0-9a-f]{12} {2}shop .* web shop\n$/);
  expect(list).not.toContain(token.slice(4));

  const id = /Token (\w+)/.exec(created.stderr)![1]!;
  expect((await runProgram(['token', 'revoke', id], env)).stdout).toBe(`Token ${id} (laptop) is revoked.\n`);
  await waitUntil('the token is refused', async () => (await statusWith(server, token)) === 401);
  expect((await runProgram(['token', 'list'], env)).stdout).toMatch(/local .* revoked .* laptop\n/);

  const rotated = await runProgram(['webhook-secret', 'rotate', '--account', 'shop'], env);
  expect(rotated.stdout).toMatch(/^whsec_[A-Za-z0-9+/]{32}\n$/);
  const secret = await fetch(`${server.origin}/webhooks/default/secret`, {
    headers: { authorization: `Bearer ${other.stdout.trim()}` },
  });
  expect(await secret.json()).toEqual({ key: rotated.stdout.trim() });

  expect(await server.end()).toBe(0);
  expect(server.errors()).toContain('"request"');
  for (const hidden of [token, other.stdout.trim(), rotated.stdout.trim()]) {
    expect(server.errors()).not.toContain(hidden);
  }
  await place.remove();
});

test('a server that other machines reach makes the first token, prints it once, and asks for it', {
  timeout,
}, async () => {
  const env = { ...serving, DARKROOM_HOME: join(folder, 'reached'), HOST: '0.0.0.0' };
  const first = await startProgram('serve', env);
  const token = /drk_[0-9a-f]{40}/.exec(first.output())![0];
  const onLoopback = { ...first, origin: `http://127.0.0.1:${new URL(first.origin).port}` };
  expect(await statusWith(onLoopback)).toBe(401);
  expect(await statusWith(onLoopback, token)).toBe(200);
  // Beside a server that listens on every address.
  expect((await runProgram(['token', 'list'], env)).stdout).toContain('first token');
  expect(await first.end()).toBe(0);
  expect(first.errors()).not.toContain(token);

  const second = await startProgram('serve', env);
  expect(await statusWith({ ...second, origin: onLoopback.origin.replace(/\d+$/, new URL(second.origin).port) })).toBe(
    401,
  );
  expect(await second.end()).toBe(0);
  expect(second.output()).not.toContain('drk_');
});

test('the embedded database is used where no server runs, and where one was killed', { timeout }, async () => {
  const home = join(folder, 'killed');
  const server = await startProgram('serve', { ...serving, DARKROOM_HOME: home });
  const { key } = JSON.parse(readFileSync(join(home, 'server.json'), 'utf8'));
  expect(statSync(join(home, 'server.json')).mode & 0o777).toBe(0o600);
  const guess = await fetch(`${server.origin}/admin/tokens`, { headers: { authorization: 'Bearer guess' } });
  expect(guess.status).toBe(404);
  const known = await fetch(`${server.origin}/admin/tokens`, { headers: { authorization: `Bearer ${key}` } });
  expect(await known.json()).toEqual({ results: [] });
  await server.kill();
  expect(server.errors()).not.toContain(key);
  const created = await runProgram(['token', 'create', '--name', 'later'], { DARKROOM_HOME: home });
  expect(created.code).toBe(0);
  expect((await runProgram(['token', 'list'], { DARKROOM_HOME: home })).stdout).toContain('later');
});

test.each([
  [['token'], /Say what to do/],
  [['token', 'create'], /Say what the token is for/],
  [['token', 'create', 'laptop'], /--name/],
  [['token', 'create', '--name', ''], /needs a name of 1 to 100 characters/],
  [['token', 'create', '--name', 'a', '--account', 'A b'], /account "A b" cannot be/],
  [['token', 'revoke'], /token revoke <id>/],
  [['token', 'revoke', 'nothing'], /There is no token nothing/],
  [['token', 'list', '--name', 'a'], /token list/],
  [['webhook-secret'], /webhook-secret rotate/],
  [['webhook-secret', 'rotate', '--account', 'nobody'], /There is no account nobody/],
])('%j ends with code 2 and says what to write', async (args, message) => {
  const { code, stdout, stderr } = await runProgram(args, { DARKROOM_HOME: join(folder, 'misused') });
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/\n {4}at /);
  expect(stdout).toBe('');
  expect(code).toBe(2);
});
