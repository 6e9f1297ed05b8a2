/** Requests that say by a key of their caller's that they are the same one, sent again. */
import { sql } from 'kysely';
import { InputError } from '../base/errors.ts';
import type { Queries } from '../database/database.ts';

export interface IdempotencyKey {
  /** As the caller chose it; each account has its own. */
  key: string;
  /** Digest of the whole request. */
  request: string;
}

/** How long a key is remembered. */
const remembered = sql<Date>`clock_timestamp() - interval '24 hours'`;
/** Most keys that are forgotten along with one that is taken: more than come, so that old ones run out. */
const forgotten = 20;

/** The key was used for another request. */
export class KeyConflict extends InputError {
  constructor(key: string) {
    super(
      `The Idempotency-Key ${JSON.stringify(key)} was used for another request within the last 24 hours. ` +
        'Send a key of its own with each request that is to make a prediction.',
    );
  }
}

/**
 * Takes the key for a prediction that is about to be made in the same transaction. Who comes at the same time waits
 * until that is committed.
 *
 * @returns id of the prediction that the key stands for already
 * @throws KeyConflict
 */
export async function takeKey(
  transaction: Queries,
  account: string,
  { key, request }: IdempotencyKey,
  predictionId: string,
): Promise<string | undefined> {
  const taken = await transaction
    .insertInto('idempotency_keys')
    .values({ account, key, request, prediction_id: predictionId })
    .onConflict((conflict) =>
      conflict
        .columns(['account', 'key'])
        .doUpdateSet({ request, prediction_id: predictionId, created_at: sql<Date>`clock_timestamp()` })
        .where('idempotency_keys.created_at', '<', remembered),
    )
    .returning('key')
    .executeTakeFirst();
  if (!taken) return readKey(transaction, account, { key, request });
  await forgetOld(transaction);
  return undefined;
}

/** As `takeKey`, without taking. */
export async function readKey(
  queries: Queries,
  account: string,
  { key, request }: IdempotencyKey,
): Promise<string | undefined> {
  const row = await queries
    .selectFrom('idempotency_keys')
    .select(['request', 'prediction_id'])
    .where('account', '=', account)
    .where('key', '=', key)
    .where('created_at', '>=', remembered)
    .executeTakeFirst();
  if (row && row.request !== request) throw new KeyConflict(key);
  return row?.prediction_id;
}

/** What others are about to forget is left to them. */
async function forgetOld(transaction: Queries): Promise<void> {
  const old = transaction
    .selectFrom('idempotency_keys')
    .select(['account', 'key'])
    .where('created_at', '<', remembered)
    .orderBy('created_at')
    .limit(forgotten)
    .forUpdate()
    .skipLocked();
  await sql`delete from idempotency_keys where (account, key) in (${old})`.execute(transaction);
}
