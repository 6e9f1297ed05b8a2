import type { Database } from '../database/database.ts';
import { deliveriesWaiting } from '../webhooks/outbox.ts';
import { channels } from './channels.ts';
import { isTerminal, type Prediction } from './prediction.ts';

/** Tells all processes that a prediction has ended, once that is committed. */
export function announceEnd(database: Pick<Database, 'notify'>, { id, webhook }: Prediction): void {
  database.notify(channels.ended, id);
  if (webhook) database.notify(deliveriesWaiting, '');
}

/** Tells of a prediction that was to end: it has, or its engine has to be told. */
export function announceCancel(database: Pick<Database, 'notify'>, prediction: Prediction): void {
  if (isTerminal(prediction.status)) announceEnd(database, prediction);
  else database.notify(channels.cancel, prediction.id);
}
