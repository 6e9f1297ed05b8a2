import type { Secrets } from '../accounts/secrets.ts';
import type { Logger } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type { Database } from '../database/database.ts';
import { createDeliveries, type Deliveries } from './deliveries.ts';
import { startDispatcher } from './dispatcher.ts';
import { createInterim, type Interim } from './interim.ts';
import { createPost } from './post.ts';
import { usualTiming, type WebhookTiming } from './timing.ts';

/** All that leaves for receivers, and what is known of it; of a server as of a worker of its own. */
export interface Webhooks extends Deliveries, Omit<Interim, 'close'> {
  /** Lets what is under way take a moment more. The database stays open. */
  close(): Promise<void>;
}

export interface WebhookOptions {
  database: Database;
  secrets: Pick<Secrets, 'webhookSecrets'>;
  settings: Pick<Settings, 'webhookGiveUpMs'>;
  log: Logger;
  timing?: WebhookTiming;
}

export function startWebhooks({ database, secrets, settings, log, timing = usualTiming }: WebhookOptions): Webhooks {
  const post = createPost(secrets, timing.timeoutMs);
  const interim = createInterim(post, timing, log);
  const dispatcher = startDispatcher({ database, post, giveUpMs: settings.webhookGiveUpMs, timing, log });
  return {
    ...createDeliveries(database),
    tell: interim.tell,
    drop: interim.drop,
    async close() {
      await interim.close();
      await dispatcher.close();
    },
  };
}
