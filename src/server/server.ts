import type { FastifyRequest } from 'fastify';
import type { Accounts } from '../accounts/accounts.ts';
import type { Logger } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type { Predictions } from '../predictions/predictions.ts';
import type { FileStore } from '../storage/files.ts';
import type { Uploads } from '../uploads/uploads.ts';
import type { Deliveries } from '../webhooks/deliveries.ts';
import { isHost } from './access.ts';
import type { Catalogue } from './catalogue.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; set before any handler of a route that needs a token. */
    account: string;
  }
  interface FastifyContextConfig {
    /** Answers without a token: the address itself is the capability, or tells nothing. */
    public?: boolean;
    /** For `darkroom` commands on this machine, by the key that they find in the data folder. */
    administration?: boolean;
  }
}

/** What the routes work with. */
export interface Server {
  settings: Settings;
  accounts: Accounts;
  /** What callers of the administration have to know; without it there is none. */
  administrationKey: string | undefined;
  catalogue: Catalogue;
  predictions: Predictions;
  webhooks: Deliveries;
  files: FileStore;
  uploads: Uploads;
  log: Logger;
  /** Why predictions cannot be served at present, in words; empty when they can. */
  ready(): Promise<readonly string[]>;
}

/**
 * Where the caller reaches this server. `X-Forwarded-Host` and `-Proto` count only from a proxy on this machine
 * (`trustProxy` in `app.ts`); for any other arrangement there is DARKROOM_PUBLIC_URL.
 */
export function originOf(request: FastifyRequest, settings: Pick<Settings, 'publicUrl'>): string {
  if (settings.publicUrl) return settings.publicUrl;
  const scheme = request.protocol === 'https' ? 'https' : 'http';
  return `${scheme}://${isHost(request.host) ? request.host : request.headers.host}`;
}
