/** The webhook that a create request names. */
import { postFault } from '../storage/post-url.ts';
import type { Webhook } from '../webhooks/webhook.ts';
import { invalidInput } from './errors.ts';
import type { Server } from './server.ts';

/**
 * May lead to private addresses where the settings say so; without a word of theirs, while the server asks for no token
 * and thus answers to its own machine alone, which reaches those addresses anyway. `DARKROOM_AUTH=none` is not that:
 * there something else stands before the server and lets others through.
 *
 * @throws Problem when it can be seen now that it would never be called
 */
export async function checkWebhook(url: string, { settings, accounts }: Server): Promise<Webhook> {
  const allowPrivate = settings.webhookPrivate ?? (settings.auth === 'auto' && (await accounts.isOpen()));
  // URL parsers drop or escape these; what is stored is the text as sent, and no database keeps all of them.
  const unclean = /[\0-\x20\x7f]|\p{Surrogate}/u.test(url) ? 'holds spaces or control characters' : undefined;
  const fault = unclean ?? postFault(url, allowPrivate);
  if (fault !== undefined) throw invalidInput([{ type: 'format', field: 'webhook', description: `The URL ${fault}.` }]);
  return { url, allowPrivate };
}
