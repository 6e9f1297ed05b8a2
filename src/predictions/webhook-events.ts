/** Which changes of a prediction its webhook hears of. */
import type { Queries } from '../database/database.ts';
import type { Happening, Interim } from '../webhooks/interim.ts';
import { addDelivery } from '../webhooks/outbox.ts';
import { isWanted } from '../webhooks/webhook.ts';
import type { Prediction } from './prediction.ts';
import { predictionJson } from './prediction-json.ts';

/** The body of a webhook: what GET answers at that moment, at the origin through which the prediction was made. */
export function webhookBody(prediction: Prediction): string {
  return JSON.stringify(predictionJson(prediction, prediction.origin));
}

/** Puts the end into the outbox, once it has come. */
export async function writeEndToWebhook(transaction: Queries, prediction: Prediction): Promise<void> {
  const { webhook, webhookEventsFilter: filter, output, logs } = prediction;
  if (!webhook) return;
  // The last of the output and of the logs comes with the end: whoever asked for these alone still gets it.
  const wanted =
    isWanted('completed', filter) ||
    (isWanted('output', filter) && output !== null) ||
    (isWanted('logs', filter) && logs !== '');
  if (wanted) await addDelivery(transaction, prediction, webhook, webhookBody(prediction));
}

/**
 * Tells the webhook of a prediction that was just claimed what happens while it runs; without a webhook, nothing.
 *
 * @returns to be called with the prediction after each change
 */
export function tellWebhook(interim: Pick<Interim, 'tell'>, claimed: Prediction): (after: Prediction) => void {
  const { id: predictionId, account, webhook, webhookEventsFilter: filter } = claimed;
  if (!webhook) return () => {};
  const tell = (event: Happening['event'], prediction: Prediction): void => {
    if (!isWanted(event, filter)) return;
    interim.tell({ predictionId, account, webhook, event, body: () => webhookBody(prediction) });
  };
  let before = claimed;
  tell('start', claimed);
  return (after) => {
    if (isWanted('output', filter) && outputText(after) !== outputText(before)) tell('output', after);
    else if (after.logs !== before.logs) tell('logs', after);
    before = after;
  };
}

/** Of what callers see: an output that is not shown yet does not change. */
function outputText(prediction: Prediction): string {
  return JSON.stringify(predictionJson(prediction, prediction.origin).output);
}
