import { execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { once } from './once.ts';
import { waitUntil } from './wait-until.ts';

/** A database of its own on the PostgreSQL of `DARKROOM_TEST_DATABASE_URL`, or on the one of this test run. */
export interface TestDatabase {
  url: string;
  remove(): Promise<void>;
}

/** The PostgreSQL of a test run: started from Debian's binaries when the first test asks, ended with the run. */
interface RunningPostgres {
  url: string;
  pid: number;
  folder: string;
}

const debian = '/usr/lib/postgresql';
const record = 'postgres.json';

/**
 * Whether tests can run on PostgreSQL here. Where they cannot, they are skipped with a notice; a CI run fails instead,
 * so that nothing is left untested without anybody noticing.
 */
export function isPostgresAvailable(): boolean {
  if (process.env.DARKROOM_TEST_DATABASE_URL || binaries()) return true;
  const remedy = 'Install it (apt-get install postgresql) or set DARKROOM_TEST_DATABASE_URL.';
  if (process.env.CI === 'true') throw new Error(`The tests need PostgreSQL in CI. ${remedy}`);
  console.warn(`PostgreSQL was not found in ${debian}: its tests are skipped. ${remedy}`);
  return false;
}

let made = 0;

/** Makes an empty database. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = process.env.DARKROOM_TEST_DATABASE_URL ?? (await runningPostgres()).url;
  const name = `darkroom_test_${process.pid}_${Date.now()}_${made++}`;
  await run(server, `create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, remove: () => run(server, `drop database if exists ${name} with (force)`) };
}

/** Ends the PostgreSQL that tests of this run started, if any did. At once: nobody needs its data any more. */
export function endPostgres(shared: string): void {
  const path = join(shared, record);
  if (!existsSync(path)) return;
  const { pid, folder } = JSON.parse(readFileSync(path, 'utf8')) as RunningPostgres;
  process.kill(pid, 'SIGQUIT');
  // It may still be writing.
  rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
}

async function runningPostgres(): Promise<RunningPostgres> {
  const path = await once(record, async (aside) => writeFile(aside, JSON.stringify(await startPostgres())));
  return JSON.parse(await readFile(path, 'utf8'));
}

async function startPostgres(): Promise<RunningPostgres> {
  const bin = binaries()!;
  const folder = mkdtempSync(join(tmpdir(), 'darkroom-postgres-'));
  // PostgreSQL refuses to run as root.
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const initdb = ['-D', data, '-U', 'darkroom', '-A', 'trust', '-E', 'UTF8', '--no-sync'];
  execFileSync(join(bin, 'initdb'), initdb, { ...user, cwd: folder, stdio: 'pipe' });
  const options = ['listen_addresses=', `unix_socket_directories=${folder}`, 'fsync=off', 'max_connections=200'];
  // It serves all workers, and so outlives the one that starts it.
  const server = spawn(join(bin, 'postgres'), ['-D', data, ...options.flatMap((option) => ['-c', option])], {
    ...user,
    cwd: folder,
    stdio: 'ignore',
    detached: true,
  });
  server.unref();
  const url = `postgresql://darkroom@localhost/postgres?host=${encodeURIComponent(folder)}`;
  await waitUntil('PostgreSQL answers', () => canConnect(url));
  return { url, pid: server.pid!, folder };
}

async function run(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function binaries(): string | undefined {
  if (!existsSync(debian)) return undefined;
  const versions = readdirSync(debian).sort((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(debian, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
}

function idOf(flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
}

async function canConnect(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
