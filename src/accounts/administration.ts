import type { Accounts } from './accounts.ts';
import type { Tokens } from './tokens.ts';

/** What the operator does at the command line: on the database, or through the server that holds it. */
export interface Administration extends Pick<Tokens, 'createToken' | 'listTokens' | 'revokeToken'> {
  /** The new secret; `undefined` when there is no such account. */
  rotateSecretOf(username: string): Promise<string | undefined>;
}

export function administrationOf(accounts: Accounts): Administration {
  return {
    createToken: accounts.createToken,
    listTokens: accounts.listTokens,
    revokeToken: accounts.revokeToken,
    async rotateSecretOf(username) {
      const account = await accounts.accountByUsername(username);
      return account && accounts.rotateWebhookSecret(account.id);
    },
  };
}
