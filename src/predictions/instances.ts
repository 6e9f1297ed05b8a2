/**
 * How many predictions of one deployment run at the same time. Looked at when a ticket comes up, so that predictions
 * without a deployment pay nothing. Everything that counts or changes the number locks the deployment's row first.
 */
import type { Queries } from '../database/database.ts';
import type { Ticket, Tickets } from './tickets.ts';

/** @returns `false` when all instances are taken: the ticket is used up, and another follows once one is free */
export async function takeInstance(transaction: Queries, { predictionId, deployment }: Ticket): Promise<boolean> {
  if (deployment === undefined) return true;
  const limits = await lockDeployment(transaction, deployment);
  if (!limits) return true;
  const { running } = await transaction
    .selectFrom('predictions')
    .select(({ fn }) => fn.countAll<string | number>().as('running'))
    .where('deployment', '=', deployment)
    .where('status', '=', 'processing')
    .executeTakeFirstOrThrow();
  if (Number(running) < limits.max_instances) return true;
  await transaction
    .insertInto('held_predictions')
    .values({ prediction_id: predictionId, deployment })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return false;
}

/**
 * Hands tickets to predictions that were held, the oldest first, in front of everything that came later.
 *
 * @param most how many instances are free
 * @returns how many tickets there are now that were not before
 */
export async function wakeHeld(
  transaction: Queries,
  tickets: Tickets,
  deployment: string,
  most: number,
): Promise<number> {
  await lockDeployment(transaction, deployment);
  const oldest = transaction
    .selectFrom('held_predictions')
    .select('prediction_id')
    .where('deployment', '=', deployment)
    .orderBy('prediction_id')
    .limit(most);
  const woken = await transaction
    .deleteFrom('held_predictions')
    .where('prediction_id', 'in', oldest)
    .returning('prediction_id')
    .execute();
  for (const predictionId of woken.map(({ prediction_id }) => prediction_id).toSorted()) {
    await tickets.add(transaction, predictionId, true, deployment);
  }
  return woken.length;
}

async function lockDeployment(transaction: Queries, id: string): Promise<{ max_instances: number } | undefined> {
  return transaction
    .selectFrom('deployments')
    .select('max_instances')
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
}
