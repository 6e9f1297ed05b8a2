import { sql } from 'kysely';
import type { Database } from '../database/database.ts';
import { deliveriesWaiting } from './outbox.ts';

/** A message that has to arrive, and what became of it. */
export interface Delivery {
  id: string;
  /** `waiting`: it is being sent, or will be again. */
  status: 'waiting' | 'delivered' | 'failed';
  createdAt: Date;
  nextAttemptAt: Date | null;
  deliveredAt: Date | null;
  /** Oldest first; of very many the newest. */
  attempts: DeliveryAttempt[];
}

export interface DeliveryAttempt {
  startedAt: Date;
  seconds: number;
  status: number | null;
  error: string | null;
}

/** What is known of deliveries. Whose prediction it is has been checked before. */
export interface Deliveries {
  deliveriesOf(predictionId: string): Promise<Delivery[]>;
  /**
   * Sends the same bytes under the same id again, whatever became of them, and gives up as late as the first time.
   *
   * @returns `undefined` when the prediction has no such delivery, `'removed'` when retention has removed the bytes
   */
  repeatDelivery(predictionId: string, id: string): Promise<Delivery | 'removed' | undefined>;
}

/** Of one delivery; somebody may repeat it for ever. */
const mostAttempts = 100;

export function createDeliveries(database: Database): Deliveries {
  const { kysely } = database;

  const read = async (predictionId: string): Promise<Delivery[]> => {
    const rows = await kysely
      .selectFrom('deliveries')
      .selectAll()
      .where('prediction_id', '=', predictionId)
      .orderBy('created_at')
      .orderBy('id')
      .execute();
    return Promise.all(
      rows.map(async (row) => ({
        id: row.id,
        status: row.next_attempt_at ? 'waiting' : row.delivered_at ? 'delivered' : 'failed',
        createdAt: row.created_at,
        nextAttemptAt: row.next_attempt_at,
        deliveredAt: row.delivered_at,
        attempts: await attemptsOf(row.id),
      })),
    );
  };

  const attemptsOf = async (deliveryId: string): Promise<DeliveryAttempt[]> => {
    const rows = await kysely
      .selectFrom('delivery_attempts')
      .selectAll()
      .where('delivery_id', '=', deliveryId)
      .orderBy('id', 'desc')
      .limit(mostAttempts)
      .execute();
    return rows
      .map(({ started_at: startedAt, seconds, status, error }) => ({ startedAt, seconds, status, error }))
      .reverse();
  };

  return {
    deliveriesOf: read,
    async repeatDelivery(predictionId, id) {
      const { numUpdatedRows } = await kysely
        .updateTable('deliveries')
        .set({
          next_attempt_at: sql<Date>`clock_timestamp()`,
          give_up_at: null,
          delivered_at: null,
          // What is under way ends without changing this.
          attempts: sql<number>`attempts + 1`,
        })
        .where('id', '=', id)
        .where('prediction_id', '=', predictionId)
        .where('body', 'is not', null)
        .executeTakeFirst();
      if (numUpdatedRows > 0n) database.notify(deliveriesWaiting, '');
      const delivery = (await read(predictionId)).find((candidate) => candidate.id === id);
      return delivery && numUpdatedRows === 0n ? 'removed' : delivery;
    },
  };
}
