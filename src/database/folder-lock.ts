import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SettingsError } from '../base/errors.ts';
import { identify, isSameProcessAlive, type ProcessIdentity } from './process-identity.ts';

/** How often a holder touches its lock file. */
const beatMs = 2_000;
/** How long the lock of another machine or container is watched for a beat before it counts as left behind. */
const watchMs = 5 * beatMs;

interface Holder extends ProcessIdentity {
  since: string;
  released: boolean;
}

export interface FolderLock {
  release(): Promise<void>;
}

/**
 * Makes this process the only one that uses the database in the folder: two that open one PGlite folder destroy it
 * without a word.
 *
 * The lock is the file with the highest number in `<home>/database-lock`; who makes the next number holds it. Making
 * is a hard link of a complete file, so it happens once and shows its content at once. Numbers only grow, and the
 * highest stays when it is let go: whoever judged an older file can no longer win with it.
 *
 * @throws SettingsError naming the holder, when it lives
 */
export async function takeFolderLock(home: string): Promise<FolderLock> {
  const folder = join(home, 'database-lock');
  await mkdir(folder, { recursive: true });
  for (;;) {
    const newest = Math.max(0, ...(await numbers(folder)));
    if (newest > 0) await refuseWhileHeld(join(folder, String(newest)), home);
    const mine = join(folder, String(newest + 1));
    const holder: Holder = { ...identify(), since: new Date().toISOString(), released: false };
    if (!(await makeOnce(mine, holder))) continue;
    const all = await numbers(folder);
    if (Math.max(...all) > newest + 1) {
      await rm(mine, { force: true });
      continue;
    }
    for (const older of all) if (older <= newest) await rm(join(folder, String(older)), { force: true });
    return held(mine, holder);
  }
}

function held(path: string, holder: Holder): FolderLock {
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, beatMs);
  beat.unref();
  return {
    async release() {
      clearInterval(beat);
      const aside = `${path}.${randomBytes(6).toString('hex')}`;
      await writeFile(aside, JSON.stringify({ ...holder, released: true }));
      await rename(aside, path);
    },
  };
}

async function refuseWhileHeld(path: string, home: string): Promise<void> {
  const holder = await readHolder(path);
  if (!holder || holder.released) return;
  const alive = isSameProcessAlive(holder) ?? (await beats(path));
  if (!alive) return;
  throw new SettingsError(
    `The database in ${home} is in use by process ${holder.pid} on ${holder.host}, since ${holder.since}. ` +
      'Stop that process, or give this one another DARKROOM_HOME; ' +
      'several processes can share one database through DATABASE_URL (PostgreSQL).',
  );
}

/** Whether somebody out of our sight, in another container or on another machine, keeps touching the file. */
async function beats(path: string): Promise<boolean> {
  const first = await stat(path).catch(() => undefined);
  const deadline = performance.now() + watchMs;
  while (first && performance.now() < deadline) {
    await pause(beatMs / 4);
    const now = await stat(path).catch(() => undefined);
    if (!now || now.mtimeMs !== first.mtimeMs) return true;
  }
  return false;
}

async function numbers(folder: string): Promise<number[]> {
  return (await readdir(folder)).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** `undefined` when the file is gone, or empty after a power cut: then nobody holds it. */
async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}

async function makeOnce(path: string, holder: Holder): Promise<boolean> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(aside, JSON.stringify(holder));
  try {
    await link(aside, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    await rm(aside, { force: true });
  }
}
