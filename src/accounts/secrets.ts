import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Database, Queries } from '../database/database.ts';

/** How long a replaced webhook secret signs beside the new one: the time that receivers have to learn the new one. */
export const webhookSecretOverlapMs = 24 * 3_600_000;

/** What an account signs with. Each secret is made when it is first asked for. */
export interface Secrets {
  /**
   * `whsec_…`, the current one first, then replaced ones that receivers may still verify with. A message is signed with
   * all of them.
   */
  webhookSecrets(account: string): Promise<string[]>;
  /** Makes a new webhook secret and returns it; the old one stays valid for `webhookSecretOverlapMs`. */
  rotateWebhookSecret(account: string): Promise<string>;
  /** Key of signed download URLs, as text. */
  filesSecret(account: string): Promise<string>;
}

type Purpose = 'webhook' | 'files';

export function createSecrets({ kysely }: Pick<Database, 'kysely'>): Secrets {
  const current = async (account: string, purpose: Purpose): Promise<string> => {
    const known = await readCurrent(kysely, account, purpose);
    if (known !== undefined) return known;
    // Another process may make it at the same moment: one wins, both read the winner's.
    await kysely
      .insertInto('secrets')
      .values({ account, purpose, secret: newSecret(purpose) })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    return (await readCurrent(kysely, account, purpose))!;
  };
  return {
    async webhookSecrets(account) {
      const newest = await current(account, 'webhook');
      const replaced = await kysely
        .selectFrom('secrets')
        .select('secret')
        .where('account', '=', account)
        .where('purpose', '=', 'webhook')
        .where('replaced_at', '>', overlapBegan())
        .orderBy('replaced_at', 'desc')
        .execute();
      return [newest, ...replaced.map(({ secret }) => secret).filter((secret) => secret !== newest)];
    },
    rotateWebhookSecret: (account) =>
      kysely.transaction().execute(async (transaction) => {
        await sql`select pg_advisory_xact_lock(hashtextextended(${`rotate secret of ${account}`}, 0))`.execute(
          transaction,
        );
        await transaction
          .updateTable('secrets')
          .set({ replaced_at: sql<Date>`clock_timestamp()` })
          .where('account', '=', account)
          .where('purpose', '=', 'webhook')
          .where('replaced_at', 'is', null)
          .execute();
        await transaction
          .deleteFrom('secrets')
          .where('account', '=', account)
          .where('purpose', '=', 'webhook')
          .where('replaced_at', '<=', overlapBegan())
          .execute();
        const secret = newSecret('webhook');
        await transaction.insertInto('secrets').values({ account, purpose: 'webhook', secret }).execute();
        return secret;
      }),
    filesSecret: (account) => current(account, 'files'),
  };
}

async function readCurrent(queries: Queries, account: string, purpose: Purpose): Promise<string | undefined> {
  const row = await queries
    .selectFrom('secrets')
    .select('secret')
    .where('account', '=', account)
    .where('purpose', '=', purpose)
    .where('replaced_at', 'is', null)
    .executeTakeFirst();
  return row?.secret;
}

function overlapBegan() {
  return sql<Date>`clock_timestamp() - make_interval(secs => ${webhookSecretOverlapMs / 1000}::double precision)`;
}

/**
 * A webhook secret is `whsec_` and 24 bytes in standard base64, as Standard Webhooks has it. Never in the URL-safe
 * alphabet: the JavaScript client takes what follows the last underscore, the others expect exactly one.
 */
function newSecret(purpose: Purpose): string {
  return purpose === 'webhook' ? `whsec_${randomBytes(24).toString('base64')}` : randomBytes(32).toString('base64url');
}
