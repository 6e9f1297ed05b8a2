import { type InsertObject, sql } from 'kysely';
import type { Database, Queries } from '../database/database.ts';
import type { Tables } from '../database/tables.ts';
import { channels } from './channels.ts';
import { newPredictionId } from './id.ts';
import { takeKey } from './idempotency.ts';
import type { Prediction } from './prediction.ts';
import type { NewPrediction, Predictions } from './predictions.ts';
import { fileRow, predictionOf } from './rows.ts';
import type { Ticket, Tickets } from './tickets.ts';

/** How many are written in one transaction: an embedded database answers nobody else meanwhile. */
const batch = 100;

interface Waiting {
  request: NewPrediction;
  resolve(created: Prediction): void;
  reject(error: unknown): void;
}

/**
 * Makes predictions. Those asked for while a transaction is under way share the next one: what a transaction costs is
 * for the most part the same however many rows it writes. It is all of them or none; when it fails, each is tried alone,
 * so that nobody suffers from what another has sent.
 */
export function createCreator(
  database: Database,
  tickets: Tickets,
  find: (id: string) => Promise<Prediction | undefined>,
): Pick<Predictions, 'create' | 'createOnce'> {
  let waiting: Waiting[] = [];
  let isWriting = false;

  const writeAll = async (): Promise<void> => {
    if (isWriting) return;
    isWriting = true;
    // Who asks in the same moment is written together.
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      const together = waiting.slice(0, batch);
      waiting = waiting.slice(batch);
      await write(together);
    }
    isWriting = false;
  };
  const write = async (together: readonly Waiting[]): Promise<void> => {
    const requests = together.map(({ request }) => request);
    try {
      const created = await insert(requests);
      for (const [index, { resolve }] of together.entries()) resolve(created[index]!);
    } catch (error) {
      if (together.length === 1) together[0]!.reject(error);
      else for (const one of together) await write([one]);
    }
  };
  const insert = async (requests: readonly NewPrediction[]): Promise<Prediction[]> => {
    const created = await database.kysely
      .transaction()
      .execute((transaction) => insertPredictions(transaction, tickets, requests));
    database.notify(channels.waiting, '');
    return created;
  };

  return {
    create: (request) =>
      new Promise((resolve, reject) => {
        waiting.push({ request, resolve, reject });
        void writeAll();
      }),
    async createOnce(request, key) {
      // By itself: the key can make it wait for another transaction.
      const id = newPredictionId();
      const made = await database.kysely.transaction().execute(async (transaction) => {
        const earlier = await takeKey(transaction, request.account, key, id);
        return earlier ?? (await insertPredictions(transaction, tickets, [request], [id]))[0]!;
      });
      if (typeof made === 'string') return { prediction: (await find(made))!, isNew: false };
      database.notify(channels.waiting, '');
      return { prediction: made, isNew: true };
    },
  };
}

async function insertPredictions(
  transaction: Queries,
  tickets: Tickets,
  requests: readonly NewPrediction[],
  ids = requests.map(() => newPredictionId()),
): Promise<Prediction[]> {
  const rows = await transaction
    .insertInto('predictions')
    .values(requests.map((request, index) => rowOf(request, ids[index]!)))
    .returningAll()
    .execute();
  const files = requests.flatMap(({ inputFiles }, index) =>
    inputFiles.map((file) => fileRow(file, ids[index]!, 'input')),
  );
  if (files.length > 0) await transaction.insertInto('files').values(files).execute();
  const ticketOf = ({ deployment }: NewPrediction, index: number): Ticket =>
    deployment === undefined ? { predictionId: ids[index]! } : { predictionId: ids[index]!, deployment };
  await tickets.addAll(transaction, requests.map(ticketOf));
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => predictionOf(byId.get(id)!));
}

function rowOf(request: NewPrediction, id: string): InsertObject<Tables, 'predictions'> {
  const { inputFiles, fileInputs, input, webhook, webhookEventsFilter, ...rest } = request;
  const { cancelAfterSeconds, reportsAborted, ...columns } = rest;
  const now = sql<Date>`statement_timestamp()`;
  return {
    ...columns,
    id,
    input: JSON.stringify(input),
    output: 'null',
    metrics: '{}',
    status: 'starting',
    created_at: now,
    ...(fileInputs && { file_inputs: fileInputs }),
    ...(webhook && { webhook: webhook.url, webhook_private: webhook.allowPrivate }),
    ...(webhookEventsFilter && { webhook_events_filter: webhookEventsFilter }),
    ...(cancelAfterSeconds !== undefined && {
      deadline: sql<Date>`statement_timestamp() + ${cancelAfterSeconds}::int * interval '1 second'`,
    }),
    ...(reportsAborted && { reports_aborted: true }),
  };
}
