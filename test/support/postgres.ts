import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { waitUntil } from './wait-until.ts';

/** A PostgreSQL for tests: the one of `DARKROOM_TEST_DATABASE_URL`, or a throw-away one from Debian's binaries. */
export interface TestPostgres {
  /** Makes an empty database and returns its URL. */
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
}

const debian = '/usr/lib/postgresql';

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

export async function startPostgres(): Promise<TestPostgres> {
  const given = process.env.DARKROOM_TEST_DATABASE_URL;
  if (given) return databasesIn(given, async () => {});

  const bin = binaries()!;
  const folder = mkdtempSync(join(tmpdir(), 'darkroom-postgres-'));
  // PostgreSQL refuses to run as root.
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const initdb = ['-D', data, '-U', 'darkroom', '-A', 'trust', '-E', 'UTF8', '--no-sync'];
  execFileSync(join(bin, 'initdb'), initdb, { ...user, cwd: folder, stdio: 'pipe' });
  const options = ['listen_addresses=', `unix_socket_directories=${folder}`, 'fsync=off', 'max_connections=100'];
  const server = spawn(join(bin, 'postgres'), ['-D', data, ...options.flatMap((option) => ['-c', option])], {
    ...user,
    cwd: folder,
    stdio: 'ignore',
  });
  const killServer = (): void => void server.kill('SIGQUIT');
  process.on('exit', killServer);
  const url = `postgresql://darkroom@localhost/postgres?host=${encodeURIComponent(folder)}`;
  await waitUntil('PostgreSQL answers', () => canConnect(url));
  return databasesIn(url, async () => {
    process.off('exit', killServer);
    server.kill('SIGINT');
    await once(server, 'exit');
    rmSync(folder, { recursive: true, force: true });
  });
}

function databasesIn(url: string, stop: () => Promise<void>): TestPostgres {
  const made: string[] = [];
  const run = async (statements: string[]): Promise<void> => {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  return {
    async createDatabase() {
      const name = `darkroom_test_${process.pid}_${Date.now()}_${made.length}`;
      await run([`create database ${name}`]);
      made.push(name);
      const address = new URL(url);
      address.pathname = `/${name}`;
      return address.href;
    },
    async stop() {
      await run(made.map((name) => `drop database if exists ${name} with (force)`));
      await stop();
    },
  };
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
