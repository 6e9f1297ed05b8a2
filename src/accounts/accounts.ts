import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import { createDirectory, type Directory, keepAccounts, localAccount } from './directory.ts';
import { accountOfConfigured, alwaysNeedsTokens, createGate, type Gate, type GateSettings } from './gate.ts';
import { createSecrets, type Secrets } from './secrets.ts';
import { createTokens, type Tokens } from './tokens.ts';

/** Everything about who calls: accounts, their tokens, and what they sign with. */
export interface Accounts extends Directory, Tokens, Secrets, Gate {
  /** The first token of a server that asks for tokens and never had one; it has to be shown now. */
  firstToken(): Promise<string | undefined>;
  /** The database stays open. */
  close(): void;
}

/** Says to other processes on the database that tokens have changed. */
const tokensChanged = 'darkroom_tokens';

/** Writes the accounts that settings bring with them. */
export async function openAccounts(database: Database, settings: GateSettings, log: Logger): Promise<Accounts> {
  const configured = settings.apiTokens.map(accountOfConfigured);
  await keepAccounts(database, [
    { id: localAccount, username: localAccount },
    ...configured.map((id) => ({ id, username: `token-${id.slice(0, 12)}` })),
  ]);
  const directory = createDirectory(database);
  const { forget, ...gate } = createGate(database, settings, log);
  const tokens = createTokens(database, directory, () => {
    forget();
    database.notify(tokensChanged, '');
  });
  const close = database.listen(tokensChanged, forget);
  // A token that is revoked from now on passes no more.
  await database.listening();
  return {
    ...directory,
    ...tokens,
    ...createSecrets(database),
    ...gate,
    async firstToken() {
      if (!alwaysNeedsTokens(settings) || configured.length > 0) return undefined;
      return tokens.createFirstToken(localAccount);
    },
    close,
  };
}
