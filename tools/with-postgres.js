/**
 * Runs a command with the DATABASE_URL of a PostgreSQL that is empty and gone afterwards, with PostgreSQL's usual settings
 * (a commit is on disk before it is answered). Ends as the command does.
 *
 *   node tools/with-postgres.js node bench/server-throughput.js
 *
 * Needs PostgreSQL's programs where Debian puts them (apt-get install postgresql).
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [command, ...args] = process.argv.slice(2);
if (!command) throw new Error('Name the command: node tools/with-postgres.js <command> [arguments]');

const versions = '/usr/lib/postgresql';
const newest = existsSync(versions) && readdirSync(versions).toSorted((a, b) => Number(b) - Number(a))[0];
if (!newest) throw new Error(`There is no PostgreSQL in ${versions}: apt-get install postgresql`);
const program = (name) => join(versions, newest, 'bin', name);

const folder = mkdtempSync(join(tmpdir(), 'darkroom-postgres-'));
// PostgreSQL refuses to run as root; who is root runs it as the user that the package brings.
const idOf = (flag) => Number(execFileSync('id', [flag, 'postgres']));
const user = process.getuid() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};
if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
const run = (name, ...given) => execFileSync(program(name), given, { ...user, cwd: folder, stdio: 'ignore' });
const data = join(folder, 'data');

// The command ends first, and the database after it. What a terminal interrupts, it interrupts in both.
let child;
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child?.kill('SIGTERM'));
run('initdb', '-D', data, '-U', 'darkroom', '-A', 'trust', '-E', 'UTF8');
const options = `-c listen_addresses= -c unix_socket_directories=${folder}`;
run('pg_ctl', '-D', data, '-w', '-l', join(folder, 'log'), '-o', options, 'start');
try {
  const DATABASE_URL = `postgresql://darkroom@localhost/postgres?host=${encodeURIComponent(folder)}`;
  child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, DATABASE_URL } });
  const [status] = await once(child, 'exit');
  process.exitCode = status ?? 1;
} finally {
  run('pg_ctl', '-D', data, '-w', '-m', 'fast', 'stop');
  rmSync(folder, { recursive: true });
}
