import { readdir, readFile } from 'node:fs/promises';
import { CompiledQuery, type Kysely, sql } from 'kysely';
import { SettingsError } from '../base/errors.ts';
import type { Tables } from './tables.ts';

/** The same folder from `src/database` and from `dist/database`. */
const folder = new URL('../../src/database/migrations/', import.meta.url);

/** Any number that no other program uses; it keeps two processes from migrating one PostgreSQL at once. */
const migrationLock = 6_837_714_092;

/**
 * Applies the numbered files of `migrations/` that this database has not seen, each once, all in one transaction.
 *
 * @throws SettingsError when a newer Darkroom has been here
 */
export async function migrate(kysely: Kysely<Tables>): Promise<void> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  await kysely.transaction().execute(async (transaction) => {
    await sql`select pg_advisory_xact_lock(${migrationLock}::bigint)`.execute(transaction);
    await sql`create table if not exists migrations (
      name text primary key,
      applied_at timestamptz(3) not null default clock_timestamp()
    )`.execute(transaction);
    const { rows } = await sql<{ name: string }>`select name from migrations`.execute(transaction);
    const applied = new Set(rows.map(({ name }) => name));
    const unknown = [...applied].find((name) => !files.includes(name));
    if (unknown) {
      throw new SettingsError(
        `The database was set up by a newer version of Darkroom (it has the migration ${unknown}). ` +
          'Start that version, or name another DATABASE_URL or DARKROOM_HOME.',
      );
    }
    for (const file of files) {
      if (applied.has(file)) continue;
      await transaction.executeQuery(CompiledQuery.raw(await readFile(new URL(file, folder), 'utf8')));
      await sql`insert into migrations (name) values (${file})`.execute(transaction);
    }
  });
}
