import type { Database, Queries } from '../database/database.ts';
import { formatFileRef } from '../storage/file-ref.ts';
import type { FileStore, StoredFile } from '../storage/files.ts';
import { advance } from './advance.ts';
import { announceEnd } from './announce-end.ts';
import { channels } from './channels.ts';
import { takeInstance, wakeHeld } from './instances.ts';
import { isTerminal, type Prediction, type PredictionEvent } from './prediction.ts';
import { fileRow } from './rows.ts';
import type { Ticket, Tickets } from './tickets.ts';

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
      const ticket = await tickets.take(transaction);
      return ticket && (await redeem(transaction, tickets, ticket, hostId));
    });
    if (claimed !== 'nothing') return claimed;
  }
}

/** @returns `'nothing'` when the ticket is used up without a prediction to run: the next one is taken then */
async function redeem(
  transaction: Queries,
  tickets: Tickets,
  ticket: Ticket,
  hostId: string,
): Promise<Prediction | 'nothing'> {
  if (!(await takeInstance(transaction, ticket))) return 'nothing';
  const advanced = await advance(transaction, ticket.predictionId, { type: 'started' }, hostId);
  if (advanced?.changed) return advanced.prediction;
  // It was canceled while it waited. Another of its deployment may have been held for it.
  if (ticket.deployment !== undefined) await wakeHeld(transaction, tickets, ticket.deployment, 1);
  return 'nothing';
}

/** @returns the prediction then; `undefined` when the attempt is not its current one any more */
export async function appendLog(
  { database }: AttemptStores,
  prediction: Prediction,
  text: string,
): Promise<Prediction | undefined> {
  const { id, attempt } = prediction;
  const advanced = await database.kysely
    .transaction()
    .execute((transaction) => advance(transaction, id, { type: 'logged', attempt, text }));
  if (!advanced?.changed) return undefined;
  database.notify(channels.logged, id);
  return advanced.prediction;
}

/** Makes one more stored file part of the output. @returns as `appendLog` does */
export async function addOutput(
  { database }: AttemptStores,
  { id, attempt }: Prediction,
  file: StoredFile,
  output: unknown,
): Promise<Prediction | undefined> {
  const added = await database.kysely.transaction().execute(async (transaction) => {
    const advanced = await advance(transaction, id, { type: 'output', attempt, output });
    if (!advanced?.changed) return undefined;
    // A transaction whose answer was lost is tried again, and may have been committed.
    const row = fileRow(file, id, 'output');
    await transaction
      .insertInto('files')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    return advanced.prediction;
  });
  if (added) database.notify(channels.output, id);
  return added;
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
    const { status, deployment } = advanced.prediction;
    if (isTerminal(status)) {
      const woken = deployment === null ? 0 : await wakeHeld(transaction, tickets, deployment, 1);
      return { prediction: advanced.prediction, stale: [], waiting: woken > 0 };
    }
    await tickets.add(transaction, id, true, deployment);
    return { prediction: advanced.prediction, stale: await removeOutputRows(transaction, id), waiting: true };
  });
  if (!ended) return;
  if (isTerminal(ended.prediction.status)) announceEnd(database, ended.prediction);
  if (ended.waiting) database.notify(channels.waiting, '');
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
