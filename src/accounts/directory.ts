import { randomBytes } from 'node:crypto';
import type { Selectable } from 'kysely';
import { InputError } from '../base/errors.ts';
import type { Database } from '../database/database.ts';
import type { AccountsTable } from '../database/tables.ts';

/** Whom predictions and files belong to. */
export interface Account {
  /** What other tables keep. */
  id: string;
  type: 'user' | 'organization';
  /** Part of addresses, such as those of deployments. */
  username: string;
  name: string;
  githubUrl: string | null;
  avatarUrl: string | null;
}

/** The account of everybody while no token is asked for, and of tokens that are made without naming another. */
export const localAccount = 'local';

/** The accounts that there are. */
export interface Directory {
  account(id: string): Promise<Account | undefined>;
  accountByUsername(username: string): Promise<Account | undefined>;
  /** Makes the account when there is none of this username. @throws InputError when it cannot be a username */
  ensureAccount(username: string): Promise<Account>;
}

export function createDirectory({ kysely }: Pick<Database, 'kysely'>): Directory {
  const find = async (column: 'id' | 'username', value: string): Promise<Account | undefined> => {
    const row = await kysely.selectFrom('accounts').selectAll().where(column, '=', value).executeTakeFirst();
    return row && accountOf(row);
  };
  return {
    account: (id) => find('id', id),
    accountByUsername: (username) => find('username', username),
    async ensureAccount(username) {
      checkUsername(username);
      const known = await find('username', username);
      if (known) return known;
      await keepAccounts({ kysely }, [{ id: randomBytes(16).toString('hex'), username }]);
      return (await find('username', username))!;
    },
  };
}

/** Writes the accounts that are not there yet. */
export async function keepAccounts(
  { kysely }: Pick<Database, 'kysely'>,
  accounts: readonly Pick<Account, 'id' | 'username'>[],
): Promise<void> {
  await kysely
    .insertInto('accounts')
    .values(accounts.map(({ id, username }) => ({ id, username, name: username })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

function checkUsername(username: string): void {
  if (/^[a-z0-9](?:[a-z0-9_-]{0,37}[a-z0-9])?$/.test(username)) return;
  throw new InputError(
    `The account ${JSON.stringify(username)} cannot be: write 1 to 39 characters of a-z, 0-9, - and _, ` +
      'with a letter or digit first and last.',
    'account',
  );
}

function accountOf(row: Selectable<AccountsTable>): Account {
  const { id, username, name } = row;
  return {
    id,
    username,
    name,
    type: row.type as Account['type'],
    githubUrl: row.github_url,
    avatarUrl: row.avatar_url,
  };
}
