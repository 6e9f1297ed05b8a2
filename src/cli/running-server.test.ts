import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findServer, publishServer } from './running-server.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'darkroom-running-'));
});
afterEach(() => rm(home, { recursive: true }));

const at = (address: string, family = 'IPv4') => ({ address, family, port: 5000 });

test.each([
  ['127.0.0.1', 'IPv4', 'http://127.0.0.1:5000'],
  ['0.0.0.0', 'IPv4', 'http://127.0.0.1:5000'],
  ['::', 'IPv6', 'http://[::1]:5000'],
])('a server on %s is found from this machine, until it says that it ends', async (address, family, reached) => {
  const withdraw = await publishServer({ home }, at(address, family), 'key');
  expect(await findServer({ home })).toEqual({ address: reached, key: 'key' });
  await withdraw();
  expect(await findServer({ home })).toBeUndefined();
});

test('of several that begin at once one is found, and goes with its own end alone', async () => {
  const keys = ['a', 'b', 'c', 'd', 'e'];
  const withdraws = await Promise.all(keys.map((key) => publishServer({ home }, at('127.0.0.1'), key)));
  const found = await findServer({ home });
  expect(keys).toContain(found?.key);
  expect(await readdir(home)).toEqual(['server.json']);
  for (const [index, key] of keys.entries()) if (key !== found?.key) await withdraws[index]!();
  expect(await findServer({ home })).toEqual(found);
  await withdraws[keys.indexOf(found!.key)]!();
  expect(await findServer({ home })).toBeUndefined();
});
