import { sql } from 'kysely';
import type { Queries } from '../database/database.ts';
import { isTerminal, type Prediction, type PredictionEvent, transition } from './prediction.ts';
import { changesBetween, predictionOf } from './rows.ts';
import { writeEndToWebhook } from './webhook-events.ts';

export interface Advanced {
  prediction: Prediction;
  /** `false`: the event came too late, from a lost attempt, or twice. */
  changed: boolean;
}

/**
 * The only way to change a prediction: locks its row, asks `transition` and writes what differs. The time of the
 * events is the database's, so that times of one prediction are in order whichever machines wrote them.
 *
 * @param transaction what else belongs to the events goes into the same one
 * @param hostId who runs it, for `started`
 * @returns `undefined` when there is no such prediction
 */
export async function advance(
  transaction: Queries,
  id: string,
  events: PredictionEvent | readonly PredictionEvent[],
  hostId?: string,
): Promise<Advanced | undefined> {
  const row = await transaction
    .selectFrom('predictions')
    .selectAll()
    .select(clock.as('now'))
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  if (!row) return undefined;
  const before = predictionOf(row);
  const prediction = [events].flat().reduce((now, event) => transition(now, event, row.now), before);
  if (prediction === before) return { prediction, changed: false };
  const running = prediction.status === 'processing';
  const host = prediction.status === before.status ? {} : { host_id: running ? hostId! : null };
  await transaction
    .updateTable('predictions')
    .set({ ...changesBetween(before, prediction), ...host })
    .where('id', '=', id)
    .execute();
  if (isTerminal(prediction.status) && !isTerminal(before.status)) await writeEndToWebhook(transaction, prediction);
  return { prediction, changed: true };
}

const clock = sql<Date>`clock_timestamp()::timestamptz(3)`;
