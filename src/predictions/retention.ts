import { sql } from 'kysely';
import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import type { FileStore } from '../storage/files.ts';
import { removeBodies } from '../webhooks/outbox.ts';
import { advance } from './advance.ts';
import { channels } from './channels.ts';
import { webhookBody } from './webhook-events.ts';

/** How often the database is asked for what is old enough. */
const lookMs = 10_000;
/** How many predictions are read at once: an embedded database answers nobody else meanwhile. */
const batch = 100;

export interface RetentionOptions {
  database: Database;
  files: FileStore;
  /** From `settings.retentionMs`; `undefined` keeps everything. */
  retentionMs: number | undefined;
  log: Logger;
}

/** Deletes inputs, outputs, logs and files of predictions that ended long enough ago, now and then. */
export function startRetention(options: RetentionOptions): { close(): Promise<void> } {
  const { retentionMs, log } = options;
  if (retentionMs === undefined) return { close: async () => {} };
  let closing = false;
  const pass = async (): Promise<void> => {
    while (!closing && (await removeOldData(options, retentionMs)) === batch) {}
  };
  let passing = Promise.resolve();
  const look = (): void => {
    passing = passing
      .then(pass)
      .catch((error: Error) => log.warn({ error: error.message }, 'old data could not be removed; trying again later'));
  };
  const timer = setInterval(look, Math.min(lookMs, Math.max(retentionMs, 1_000)));
  look();
  return {
    async close() {
      closing = true;
      clearInterval(timer);
      await passing;
    },
  };
}

/** Removes the data of one batch of old predictions. @returns how many there were */
export async function removeOldData(
  { database, files }: Pick<RetentionOptions, 'database' | 'files'>,
  retentionMs: number,
): Promise<number> {
  const old = await database.kysely
    .selectFrom('predictions')
    .select('id')
    .where('data_removed', '=', false)
    .where('completed_at', '<', sql<Date>`clock_timestamp() - ${retentionMs} * interval '1 millisecond'`)
    .orderBy('completed_at')
    .limit(batch)
    .execute();
  for (const { id } of old) {
    const removed = await database.kysely.transaction().execute(async (transaction) => {
      const advanced = await advance(transaction, id, { type: 'dataRemoved' });
      if (advanced?.changed && advanced.prediction.webhook) {
        await removeBodies(transaction, id, webhookBody(advanced.prediction));
      }
      return transaction.deleteFrom('files').where('prediction_id', '=', id).returning('key').execute();
    });
    database.notify(channels.removed, id);
    // Rows first: from here on the files are gone for everybody, and bytes that stay after a crash serve nobody.
    for (const { key } of removed) await files.delete(key);
  }
  return old.length;
}
