import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import { advance } from './advance.ts';
import { announceEnd } from './announce-end.ts';
import { channels } from './channels.ts';
import { createFollowers } from './followers.ts';
import { newPredictionId } from './id.ts';
import { listPredictions } from './list.ts';
import { isTerminal, type Prediction } from './prediction.ts';
import type { NewPrediction, Predictions } from './predictions.ts';
import { readProgress } from './progress.ts';
import { fileRow, predictionOf, storedFileOf } from './rows.ts';
import { openTickets, type Tickets } from './tickets.ts';
import { createWaiters } from './waiters.ts';

/** Predictions on a database, for the server and for the worker host of the same process. */
export interface PredictionStore extends Predictions {
  /** The queue; for the host. */
  tickets: Tickets;
  /** Lets callers that wait go, now and from now on: a server that ends must not be held up by them. */
  endWaits(): void;
  /** The database stays open. */
  close(): Promise<void>;
}

export async function createPredictions(database: Database, log: Logger): Promise<PredictionStore> {
  const { kysely } = database;
  const tickets = await openTickets(database, log);
  const waiters = createWaiters(database, log);
  const followers = createFollowers(database, log);

  const find = async (id: string): Promise<Prediction | undefined> => {
    const row = await kysely.selectFrom('predictions').selectAll().where('id', '=', id).executeTakeFirst();
    return row && predictionOf(row);
  };

  return {
    tickets,
    create: (request) => createPrediction(database, tickets, request),
    async get(account, id) {
      const prediction = await find(id);
      return prediction?.account === account ? prediction : undefined;
    },
    list: (query) => listPredictions(kysely, query),
    cancel: (account, id) => cancelPrediction(database, account, id),
    async waitForEnd(id, timeoutMs) {
      // Waiting begins before looking, so that an end in between is not missed.
      const { ended, stop } = waiters.wait(id, timeoutMs);
      try {
        const now = await find(id);
        if (!now || isTerminal(now.status)) return now;
        await ended;
      } finally {
        stop();
      }
      return find(id);
    },
    async progress(id, streamKey) {
      const row = kysely
        .selectFrom('predictions')
        .select('id')
        .where('id', '=', id)
        .where('stream_key', '=', streamKey);
      const known = await row.executeTakeFirst();
      return known && (await readProgress(kysely, [id], true))[0];
    },
    follow: followers.follow,
    async file(key) {
      const row = await kysely.selectFrom('files').selectAll().where('key', '=', key).executeTakeFirst();
      return row && storedFileOf(row);
    },
    async queued() {
      const { count } = await kysely
        .selectFrom('predictions')
        .select(({ fn }) => fn.countAll().as('count'))
        .where('status', '=', 'starting')
        .executeTakeFirstOrThrow();
      return Number(count);
    },
    endWaits: waiters.close,
    async close() {
      waiters.close();
      followers.close();
      await tickets.close();
    },
  };
}

async function createPrediction(database: Database, tickets: Tickets, request: NewPrediction): Promise<Prediction> {
  const { inputFiles, fileInputs, input, webhook, webhookEventsFilter, ...columns } = request;
  const created = await database.kysely.transaction().execute(async (transaction) => {
    const row = await transaction
      .insertInto('predictions')
      .values({
        ...columns,
        ...(fileInputs && { file_inputs: fileInputs }),
        ...(webhook && { webhook: webhook.url, webhook_private: webhook.allowPrivate }),
        ...(webhookEventsFilter && { webhook_events_filter: webhookEventsFilter }),
        id: newPredictionId(),
        input: JSON.stringify(input),
        output: 'null',
        metrics: '{}',
        status: 'starting',
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    if (inputFiles.length > 0) {
      const rows = inputFiles.map((file) => fileRow(file, row.id, 'input'));
      await transaction.insertInto('files').values(rows).execute();
    }
    await tickets.add(transaction, row.id, false, row.deployment);
    return predictionOf(row);
  });
  database.notify(channels.waiting, '');
  return created;
}

async function cancelPrediction(database: Database, account: string, id: string): Promise<Prediction | undefined> {
  const canceled = await database.kysely.transaction().execute(async (transaction) => {
    const owner = await transaction.selectFrom('predictions').select('account').where('id', '=', id).executeTakeFirst();
    return owner?.account === account ? advance(transaction, id, { type: 'cancelRequested' }) : undefined;
  });
  if (canceled?.changed) {
    if (isTerminal(canceled.prediction.status)) announceEnd(database, canceled.prediction);
    else database.notify(channels.cancel, id);
  }
  return canceled?.prediction;
}
