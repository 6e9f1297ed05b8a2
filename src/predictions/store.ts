import { timingSafeEqual } from 'node:crypto';
import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import { advance } from './advance.ts';
import { announceCancel } from './announce-end.ts';
import { createCreator } from './create.ts';
import { startDeadlines } from './deadlines.ts';
import { createDeployments } from './deployments.ts';
import { createFollowers } from './followers.ts';
import { readKey } from './idempotency.ts';
import { listPredictions } from './list.ts';
import { isTerminal, type Prediction } from './prediction.ts';
import type { Predictions } from './predictions.ts';
import { createPreviews } from './previews.ts';
import { progressOf } from './progress.ts';
import { createReader } from './reader.ts';
import { storedFileOf } from './rows.ts';
import { createRunCounts } from './run-counts.ts';
import { openTickets, type Tickets } from './tickets.ts';
import { createWaiters } from './waiters.ts';

/** Predictions on a database, for the server and for the worker host of the same process. */
export interface PredictionStore extends Predictions {
  /** The queue; for the host. */
  tickets: Tickets;
  /** The database stays open. */
  close(): Promise<void>;
}

export async function createPredictions(database: Database, log: Logger): Promise<PredictionStore> {
  const { kysely } = database;
  const tickets = await openTickets(database, log);
  const waiters = createWaiters(database, log);
  const followers = createFollowers(database, log);
  const previews = createPreviews(database);

  const { read: find, close: closeReader } = createReader(database);
  const deadlines = startDeadlines(database, log);
  await database.listening();

  return {
    tickets,
    ...createCreator(database, tickets, find),
    async get(account, id) {
      const prediction = await find(id);
      return prediction?.account === account ? prediction : undefined;
    },
    async underKey(account, key) {
      const id = await readKey(kysely, account, key);
      return id === undefined ? undefined : find(id);
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
      const prediction = await find(id);
      return prediction && isSame(prediction.streamKey, streamKey) ? progressOf(prediction) : undefined;
    },
    follow: followers.follow,
    watch: previews.watch,
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
    runs: createRunCounts(database),
    deployments: createDeployments(database, tickets),
    endWaits: waiters.close,
    async close() {
      waiters.close();
      followers.close();
      previews.close();
      closeReader();
      await deadlines.close();
      await tickets.close();
    },
  };
}

async function cancelPrediction(database: Database, account: string, id: string): Promise<Prediction | undefined> {
  const canceled = await database.kysely.transaction().execute(async (transaction) => {
    const owner = await transaction.selectFrom('predictions').select('account').where('id', '=', id).executeTakeFirst();
    return owner?.account === account ? advance(transaction, id, { type: 'cancelRequested' }) : undefined;
  });
  if (canceled?.changed) announceCancel(database, canceled.prediction);
  return canceled?.prediction;
}

function isSame(key: string, given: string): boolean {
  return key.length === given.length && timingSafeEqual(Buffer.from(key), Buffer.from(given));
}
