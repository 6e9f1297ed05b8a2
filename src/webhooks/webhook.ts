/** What a caller may ask to be told about. */
export type WebhookEvent = 'start' | 'output' | 'logs' | 'completed';

export const webhookEvents: readonly WebhookEvent[] = ['start', 'output', 'logs', 'completed'];

/** Where to tell it. */
export interface Webhook {
  /** As the caller wrote it. */
  url: string;
  /** Whether it may lead to private addresses and by plain http. */
  allowPrivate: boolean;
}

/** What the public service documents for a webhook without a filter. */
const usualEvents: readonly WebhookEvent[] = ['output', 'completed'];

export function isWanted(event: WebhookEvent, filter: readonly WebhookEvent[] | null): boolean {
  return (filter ?? usualEvents).includes(event);
}

/** By host and port, whatever the path: of each account so many requests to one of them are under way at once. */
export function hostOf(webhook: Pick<Webhook, 'url'>): string {
  return new URL(webhook.url).host;
}
