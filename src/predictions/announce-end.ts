import type { Database } from '../database/database.ts';
import { deliveriesWaiting } from '../webhooks/outbox.ts';
import { channels } from './channels.ts';
import type { Prediction } from './prediction.ts';

/** Tells all processes that a prediction has ended, once that is committed. */
export function announceEnd(database: Pick<Database, 'notify'>, { id, webhook }: Prediction): void {
  database.notify(channels.ended, id);
  if (webhook) database.notify(deliveriesWaiting, '');
}
