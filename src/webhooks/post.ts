import type { Secrets } from '../accounts/secrets.ts';
import { type Posted, postToUrl } from '../storage/post-url.ts';
import { signedHeaders } from './sign.ts';
import type { Webhook } from './webhook.ts';

export interface Message {
  /** The header `webhook-id`. */
  id: string;
  /** Whose secrets sign it. */
  account: string;
  webhook: Webhook;
  body: string;
}

/** Sends a signed message once. Rejects only with the signal's reason, or when the secrets cannot be read. */
export type Post = (message: Message, signal: AbortSignal) => Promise<Posted>;

export function createPost(secrets: Pick<Secrets, 'webhookSecrets'>, timeoutMs: number): Post {
  return async ({ id, account, webhook, body }, signal) => {
    const headers = signedHeaders(id, body, await secrets.webhookSecrets(account));
    const stop = new AbortController();
    const abort = (): void => stop.abort(signal.reason);
    if (signal.aborted) abort();
    // Not `AbortSignal.any` on a signal that lives as long as the process: it would remember every message.
    signal.addEventListener('abort', abort);
    try {
      return await postToUrl(webhook.url, {
        headers,
        body,
        timeoutMs,
        allowPrivate: webhook.allowPrivate,
        signal: stop.signal,
      });
    } finally {
      signal.removeEventListener('abort', abort);
    }
  };
}
