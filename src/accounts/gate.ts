/** Who may pass: whether a token is asked for, and whose it is. */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Logger } from '../base/log.ts';
import { isLoopbackName } from '../base/loopback.ts';
import type { Settings } from '../base/settings.ts';
import type { Database } from '../database/database.ts';
import { areThereTokens, digestOf } from './tokens.ts';

/**
 * How long an answer of the database is believed, so that a request does not cost a query. A token that another process
 * revokes passes no longer than this; usually the news travels faster (`Database.notify`).
 */
export const rememberedMs = 5_000;

/** `last_used_at` is written at most this often. */
const usedEveryMs = 60_000;

export interface Gate {
  /** Whether everybody passes without a token. */
  isOpen(): Promise<boolean>;
  /** Id of the account that a token belongs to; `undefined` when it must not pass. */
  accountOf(token: string): Promise<string | undefined>;
  /** Whether the token passed within the last seconds. */
  isProven(token: string): boolean;
}

export type GateSettings = Pick<Settings, 'auth' | 'apiTokens' | 'host' | 'publicUrl'>;

/** Whether this server never is without tokens, whatever the database holds. */
export function alwaysNeedsTokens({ auth, apiTokens, host, publicUrl }: GateSettings): boolean {
  if (auth !== 'auto') return auth === 'tokens';
  const reachable = !isLoopbackName(host) || (publicUrl !== undefined && !isLoopbackName(new URL(publicUrl).hostname));
  return apiTokens.length > 0 || reachable;
}

/** The account of a token of DARKROOM_API_TOKENS: the same after a restart, and no key to anything. */
export function accountOfConfigured(token: string): string {
  const digest = Buffer.from(digestOf(token), 'hex');
  return createHash('sha256').update('account:').update(digest).digest('hex').slice(0, 32);
}

interface Remembered<Answer> {
  answer: Promise<Answer>;
  until: number;
}

/** `forget` drops what is remembered: tokens have changed. */
export function createGate({ kysely }: Database, settings: GateSettings, log: Logger): Gate & { forget(): void } {
  const configured = new Map(settings.apiTokens.map((token) => [digestOf(token), accountOfConfigured(token)]));
  const always = alwaysNeedsTokens(settings);
  const accounts = new Map<string, Remembered<string | undefined>>();
  let open: Remembered<boolean> | undefined;

  const lookUp = async (digest: string): Promise<string | undefined> => {
    const known = configured.get(digest);
    if (known !== undefined) return known;
    const row = await kysely
      .selectFrom('tokens')
      .select(['id', 'account', 'last_used_at'])
      .where('digest', '=', digest)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    if (row && Date.now() - (row.last_used_at?.getTime() ?? 0) >= usedEveryMs) noteUse(row.id);
    return row?.account;
  };
  const noteUse = (id: string): void => {
    kysely
      .updateTable('tokens')
      .set({ last_used_at: sql<Date>`clock_timestamp()` })
      .where('id', '=', id)
      .execute()
      .catch((error: Error) => log.debug({ error: error.message }, 'the use of a token was not noted'));
  };
  const remembered = (digest: string): Remembered<string | undefined> | undefined => {
    const known = accounts.get(digest);
    return known && known.until > performance.now() ? known : undefined;
  };

  return {
    async isOpen() {
      if (always) return false;
      if (settings.auth === 'none') return true;
      if (!open || open.until <= performance.now()) {
        const answer = areThereTokens(kysely).then((some) => !some);
        open = { answer, until: performance.now() + rememberedMs };
        answer.catch(() => {
          open = undefined;
        });
      }
      return open.answer;
    },
    async accountOf(token) {
      const digest = digestOf(token);
      const known = remembered(digest);
      if (known) return known.answer;
      const entry = { answer: lookUp(digest), until: performance.now() + rememberedMs };
      accounts.set(digest, entry);
      // Only tokens that pass are remembered: guesses would fill the memory.
      const drop = (): void => {
        if (accounts.get(digest) === entry) accounts.delete(digest);
      };
      return entry.answer.then(
        (account) => {
          if (account === undefined) drop();
          return account;
        },
        (error: unknown) => {
          drop();
          throw error;
        },
      );
    },
    isProven: (token) => remembered(digestOf(token)) !== undefined,
    forget() {
      accounts.clear();
      open = undefined;
    },
  };
}
