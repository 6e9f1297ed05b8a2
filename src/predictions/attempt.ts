import type { Database, Queries } from '../database/database.ts';
import { formatFileRef } from '../storage/file-ref.ts';
import type { FileStore, StoredFile } from '../storage/files.ts';
import { advance } from './advance.ts';
import { channels } from './channels.ts';
import { isTerminal, type Prediction, type PredictionEvent } from './prediction.ts';
import { fileRow } from './rows.ts';
import type { Tickets } from './tickets.ts';

/** What the writes of a host go to. */
export interface AttemptStores {
  database: Database;
  tickets: Tickets;
  files: FileStore;
}

/** Takes the next prediction for the host: its ticket is used up and it is `processing`, in one transaction. */
export async function claim({ database, tickets }: AttemptStores, hostId: string): Promise<Prediction | undefined> {
  for (;;) {
    const claimed = await database.kysely.transaction().execute(async (transaction) => {
      const id = await tickets.take(transaction);
      return id && (await advance(transaction, id, { type: 'started' }, hostId));
    });
    if (claimed === undefined || claimed === '') return undefined;
    // Unchanged: it was canceled while it waited. Its ticket is used up, so the next one is taken.
    if (claimed.changed) return claimed.prediction;
  }
}

/** @returns `false` when the attempt is not the prediction's current one any more */
export async function appendLog({ database }: AttemptStores, prediction: Prediction, text: string): Promise<boolean> {
  const { id, attempt } = prediction;
  const advanced = await database.kysely
    .transaction()
    .execute((transaction) => advance(transaction, id, { type: 'logged', attempt, text }));
  return advanced?.changed ?? false;
}

/** Makes one more stored file part of the output. @returns `false` as in `appendLog` */
export async function addOutput(
  { database }: AttemptStores,
  { id, attempt }: Prediction,
  file: StoredFile,
  output: unknown,
): Promise<boolean> {
  return database.kysely.transaction().execute(async (transaction) => {
    const advanced = await advance(transaction, id, { type: 'output', attempt, output });
    if (!advanced?.changed) return false;
    // A transaction whose answer was lost is tried again, and may have been committed.
    const row = fileRow(file, id, 'output');
    await transaction
      .insertInto('files')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    return true;
  });
}

/** The output as the model declares it: one reference or a list of them. */
export function outputOf(kind: 'file' | 'file-list', files: readonly StoredFile[]): unknown {
  const references = files.map(formatFileRef);
  return kind === 'file' ? (references.at(-1) ?? null) : references;
}

/**
 * Ends an attempt: the prediction is over, or it waits again and what the attempt had made goes.
 *
 * @param events how it ended, and what else belongs before it: the last of the logs
 */
export async function endAttempt(
  stores: AttemptStores,
  id: string,
  events: PredictionEvent | readonly PredictionEvent[],
): Promise<void> {
  const { database, tickets, files } = stores;
  const ended = await database.kysely.transaction().execute(async (transaction) => {
    const advanced = await advance(transaction, id, events);
    if (!advanced?.changed) return undefined;
    const { status } = advanced.prediction;
    if (isTerminal(status)) return { status, stale: [] };
    await tickets.add(transaction, id, true);
    return { status, stale: await removeOutputRows(transaction, id) };
  });
  if (!ended) return;
  if (isTerminal(ended.status)) database.notify(channels.ended, id);
  else database.notify(channels.waiting, '');
  for (const key of ended.stale) await files.delete(key);
}

async function removeOutputRows(transaction: Queries, id: string): Promise<string[]> {
  const rows = await transaction
    .deleteFrom('files')
    .where('prediction_id', '=', id)
    .where('purpose', '=', 'output')
    .returning('key')
    .execute();
  return rows.map(({ key }) => key);
}
