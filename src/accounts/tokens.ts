import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { InputError } from '../base/errors.ts';
import type { Database, Queries } from '../database/database.ts';
import type { Directory } from './directory.ts';

/** What is known about a token; never the token itself. */
export interface TokenInfo {
  id: string;
  name: string;
  /** Username of the account whose objects it reaches. */
  account: string;
  createdAt: Date;
  /** To the minute. */
  lastUsedAt: Date | null;
  revokedAt: Date | null;
}

export interface NewToken {
  /** What it is for, in its owner's words. */
  name: string;
  /** Username; the account is made when it is new. */
  account: string;
}

/** The stored tokens; those of DARKROOM_API_TOKENS are not among them. */
export interface Tokens {
  /** `token` is the only copy there will ever be. @throws InputError */
  createToken(request: NewToken): Promise<{ token: string; info: TokenInfo }>;
  /** Oldest first, revoked ones too. */
  listTokens(): Promise<TokenInfo[]>;
  /** Revoked twice is revoked. `undefined` when there is none of this id. */
  revokeToken(id: string): Promise<TokenInfo | undefined>;
  /** A token, when there never was one: for a server that other machines reach. */
  createFirstToken(account: string): Promise<string | undefined>;
}

/** @param changed called after tokens were made or revoked */
export function createTokens({ kysely }: Database, directory: Directory, changed: () => void): Tokens {
  return {
    async createToken({ name, account }) {
      checkName(name);
      const { id } = await directory.ensureAccount(account);
      const made = await insertToken(kysely, name, id);
      changed();
      return { token: made.token, info: (await readTokens(kysely, made.id))[0]! };
    },
    listTokens: () => readTokens(kysely),
    async revokeToken(id) {
      await kysely
        .updateTable('tokens')
        .set({ revoked_at: sql<Date>`clock_timestamp()` })
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
        .execute();
      changed();
      return (await readTokens(kysely, id))[0];
    },
    async createFirstToken(account) {
      const { id } = await directory.ensureAccount(account);
      const token = await kysely.transaction().execute(async (transaction) => {
        // Two servers that start at once on one database make one token.
        await sql`select pg_advisory_xact_lock(hashtextextended('first token', 0))`.execute(transaction);
        if (await areThereTokens(transaction)) return undefined;
        return (await insertToken(transaction, 'first token', id)).token;
      });
      changed();
      return token;
    },
  };
}

/**
 * SHA-256, without salt and made only once. Passwords need a slow hash because they can be guessed; a token is 160
 * random bits, which no speed reaches, and a slow hash would be paid with every request.
 */
export function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Revoked ones count: a server that ever had a token does not fall back to asking for none. */
export async function areThereTokens(queries: Queries): Promise<boolean> {
  return (await queries.selectFrom('tokens').select('id').limit(1).executeTakeFirst()) !== undefined;
}

async function insertToken(queries: Queries, name: string, account: string): Promise<{ id: string; token: string }> {
  // The prefix lets people and secret scanners recognise one.
  const token = `drk_${randomBytes(20).toString('hex')}`;
  const id = randomBytes(6).toString('hex');
  await queries
    .insertInto('tokens')
    .values({ id, account, name, digest: digestOf(token) })
    .execute();
  return { id, token };
}

async function readTokens(queries: Queries, id?: string): Promise<TokenInfo[]> {
  let select = queries
    .selectFrom('tokens')
    .innerJoin('accounts', 'accounts.id', 'tokens.account')
    .select(['tokens.id', 'tokens.name', 'accounts.username as account'])
    .select(['tokens.created_at as createdAt', 'last_used_at as lastUsedAt', 'revoked_at as revokedAt'])
    .orderBy('tokens.created_at')
    .orderBy('tokens.id');
  if (id !== undefined) select = select.where('tokens.id', '=', id);
  return select.execute();
}

function checkName(name: string): void {
  if (name.length <= 100 && name.trim() !== '' && !/[\p{Control}\p{Surrogate}]/u.test(name)) return;
  throw new InputError(
    'A token needs a name of 1 to 100 characters, such as the machine or program it is for.',
    'name',
  );
}
