import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { CompiledQuery, Kysely } from 'kysely';
import type { Db } from 'pg-boss';
import { SettingsError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Database } from './database.ts';
import { takeFolderLock } from './folder-lock.ts';
import { createListeners } from './messages.ts';
import { pgliteDialect } from './pglite-dialect.ts';
import type { Tables } from './tables.ts';

/** Opens the embedded database in `<home>/database`; one process at a time. @throws SettingsError */
export async function openPglite(home: string, log: Logger): Promise<Database> {
  // For its owner alone: the database holds what accounts sign with.
  await mkdir(home, { recursive: true, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    throw new SettingsError(`The data folder ${home} cannot be made (${error.code}). Name another with DARKROOM_HOME.`);
  });
  const lock = await takeFolderLock(home);
  try {
    const client = await openFolder(join(home, 'database'), log);
    return embedded(client, lock.release);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** A new database is made aside and then moved, so that a process killed meanwhile leaves no half of one. */
async function openFolder(folder: string, log: Logger): Promise<PGlite> {
  if (!existsSync(folder)) {
    log.info({ folder }, 'making a new database');
    const aside = `${folder}.new`;
    await rm(aside, { recursive: true, force: true });
    const fresh = await PGlite.create(aside);
    await fresh.close();
    await rename(aside, folder);
  }
  return PGlite.create(folder).catch((error: unknown) => {
    throw new SettingsError(
      `The database in ${folder} cannot be opened: ${error instanceof Error ? error.message : error}. ` +
        'Restore the folder from a copy, or name another DARKROOM_HOME.',
    );
  });
}

function embedded(client: PGlite, releaseLock: () => Promise<void>): Database {
  const kysely = new Kysely<Tables>({ dialect: pgliteDialect(client) });
  // Nobody else can be on this database, so messages and sessions need not pass through it.
  const listeners = createListeners();
  const sessions = new Set<string>();
  return {
    kysely,
    kind: 'pglite',
    bossDb: bossOver(kysely),
    listen: listeners.add,
    listening: async () => {},
    notify(channel, payload) {
      setImmediate(() => listeners.tell(channel, payload));
    },
    async holdSession(name) {
      sessions.add(name);
      return async () => void sessions.delete(name);
    },
    isSessionGone: async (name) => !sessions.has(name),
    async close() {
      await kysely.destroy();
      await releaseLock();
    },
  };
}

/** pg-boss expects that a failed statement does not spoil the next one, as with a pool of connections. */
function bossOver(kysely: Kysely<Tables>): Db {
  return {
    executeSql: (text, values) =>
      kysely.connection().execute(async (connection) => {
        try {
          return { rows: [...(await connection.executeQuery(CompiledQuery.raw(text, values))).rows] };
        } catch (error) {
          await connection.executeQuery(CompiledQuery.raw('rollback')).catch(() => {});
          throw error;
        }
      }),
  };
}
