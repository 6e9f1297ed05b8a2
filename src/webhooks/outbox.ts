import { randomBytes } from 'node:crypto';
import type { Queries } from '../database/database.ts';
import { hostOf, type Webhook } from './webhook.ts';

/** Says to every process that deliveries wait (`Database.notify`); who dispatches also looks now and then. */
export const deliveriesWaiting = 'darkroom_webhooks';

/** Identifies a message to its receiver; a delivery keeps it at every attempt. */
export function newMessageId(): string {
  return `msg_${randomBytes(16).toString('hex')}`;
}

/** Writes what has to arrive, in the transaction that makes it true. The body is kept and sent as it is here. */
export async function addDelivery(
  transaction: Queries,
  prediction: { id: string; account: string },
  webhook: Webhook,
  body: string,
): Promise<void> {
  const { id: prediction_id, account } = prediction;
  await transaction
    .insertInto('deliveries')
    .values({ id: newMessageId(), prediction_id, account, host: hostOf(webhook), body })
    .execute();
}

/**
 * Removes what deliveries of the prediction say about its data: the bodies go, and what still has to arrive says what
 * is left.
 */
export async function removeBodies(transaction: Queries, predictionId: string, bodyWithoutData: string): Promise<void> {
  await transaction
    .updateTable('deliveries')
    // In one statement: between two, what waits can be delivered, and neither would meet it.
    .set((update) => ({
      body: update.case().when('next_attempt_at', 'is', null).then(null).else(bodyWithoutData).end(),
    }))
    .where('prediction_id', '=', predictionId)
    .execute();
}
