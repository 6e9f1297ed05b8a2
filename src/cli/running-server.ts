/** How commands find the server that runs on a data folder: a file in it that only its owner can read. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Settings } from '../base/settings.ts';

/** Where the server is reached from this machine, and the key of its administration; new at every start. */
export interface RunningServer {
  address: string;
  key: string;
}

/** @returns how to withdraw it */
export async function publishServer(
  { home }: Pick<Settings, 'home'>,
  { address, family, port }: AddressInfo,
  key: string,
): Promise<() => Promise<void>> {
  const path = fileIn(home);
  const reachable = address.replace(/^0\.0\.0\.0$/, '127.0.0.1').replace(/^::$/, '::1');
  const ownName = family === 'IPv6' ? `[${reachable}]` : reachable;
  const server: RunningServer = { address: `http://${ownName}:${port}`, key };
  // On PostgreSQL nothing else may have made it yet.
  await mkdir(home, { recursive: true, mode: 0o700 });
  // Not by the process's id: in containers all have the same, and on PostgreSQL several servers may share a folder.
  const aside = `${path}.${randomUUID()}.part`;
  await writeFile(aside, JSON.stringify(server), { mode: 0o600, flag: 'wx' });
  await rename(aside, path);
  return async () => {
    // Another server on this folder (on PostgreSQL) may have written its own since.
    if ((await findServer({ home }))?.key === key) await rm(path, { force: true });
  };
}

/** The server that said it runs; it may have been killed since. */
export async function findServer({ home }: Pick<Settings, 'home'>): Promise<RunningServer | undefined> {
  try {
    return JSON.parse(await readFile(fileIn(home), 'utf8'));
  } catch {
    return undefined;
  }
}

function fileIn(home: string): string {
  return join(home, 'server.json');
}
