/** Removes what nobody can reach any more: expired uploads, and bytes of which no row speaks. */
import { sql } from 'kysely';
import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import type { FileStore } from '../storage/files.ts';

/** Expired files are hidden at once; this long their bytes may stay. */
const expiryLookMs = 60_000;
const orphanLookMs = 3_600_000;
/** Bytes are written before their row: younger ones may still get it. */
const orphanAgeMs = 3_600_000;
/** How many are handled at once: an embedded database answers nobody else meanwhile. */
const batch = 200;

export interface SweepOptions {
  database: Pick<Database, 'kysely'>;
  files: FileStore;
  log: Logger;
}

/** Sweeps now and then. Several processes may do so at the same time. */
export function startSweep(options: SweepOptions): { close(): Promise<void> } {
  const closing = new AbortController();
  let sweeping = Promise.resolve();
  const often = (what: string, ms: number, sweep: () => Promise<unknown>): NodeJS.Timeout => {
    const look = (): void => {
      sweeping = sweeping
        .then(() => (closing.signal.aborted ? undefined : sweep()))
        .then(() => {})
        .catch((error: Error) => options.log.warn({ error: error.message }, `${what} could not be removed`));
    };
    look();
    return setInterval(look, ms);
  };
  const timers = [
    often('expired uploads', expiryLookMs, async () => {
      while (!closing.signal.aborted && (await removeExpired(options)) === batch) {}
    }),
    often('bytes without a row', orphanLookMs, () => removeOrphans(options, orphanAgeMs, closing.signal)),
  ];
  return {
    async close() {
      closing.abort();
      for (const timer of timers) clearInterval(timer);
      await sweeping;
    },
  };
}

/** @returns how many there were; `batch` at the most */
export async function removeExpired({ database: { kysely }, files }: Omit<SweepOptions, 'log'>): Promise<number> {
  const expired = kysely
    .selectFrom('uploads')
    .select('id')
    .where(sql<boolean>`expires_at <= clock_timestamp()`)
    .orderBy('expires_at')
    .limit(batch);
  // Rows first: bytes that stay after a crash are found as orphans.
  const removed = await kysely.deleteFrom('uploads').where('id', 'in', expired).returning('key').execute();
  for (const { key } of removed) await files.delete(key);
  return removed.length;
}

/** @returns how many there were */
export async function removeOrphans(
  { database: { kysely }, files, log }: SweepOptions,
  ageMs: number,
  signal?: AbortSignal,
): Promise<number> {
  const { id } = await kysely.selectFrom('installation').select('id').executeTakeFirstOrThrow();
  if (!(await files.claim(id))) {
    log.warn(
      'the store of files is marked as that of another database, so bytes that nobody needs are left in it; ' +
        'where that database is gone, delete the file "database" in the folder "files"',
    );
    return 0;
  }
  let removed = 0;
  const removeUnknown = async (keys: readonly string[]): Promise<void> => {
    const known = await kysely
      .selectFrom('files')
      .select('key')
      .where('key', 'in', keys)
      .unionAll(kysely.selectFrom('uploads').select('key').where('key', 'in', keys))
      .execute();
    const needed = new Set(known.map(({ key }) => key));
    for (const key of keys.filter((candidate) => !needed.has(candidate))) {
      await files.delete(key);
      removed++;
    }
  };
  let old: string[] = [];
  const before = Date.now() - ageMs;
  for await (const { key, changedAt } of files.list()) {
    if (signal?.aborted) return removed;
    if (changedAt.getTime() < before) old.push(key);
    if (old.length < batch) continue;
    await removeUnknown(old);
    old = [];
  }
  if (old.length > 0) await removeUnknown(old);
  if (removed > 0) log.info({ removed }, 'bytes without a row were removed');
  return removed;
}
