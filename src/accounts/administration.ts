import { NotFoundError } from '../base/errors.ts';
import type { Accounts } from './accounts.ts';
import type { NewToken, TokenInfo } from './tokens.ts';

/** What the operator does, at the command line: on the database, or through the server that holds it. */
export interface Administration {
  /** @throws InputError */
  createToken(request: NewToken): Promise<{ token: string; info: TokenInfo }>;
  listTokens(): Promise<TokenInfo[]>;
  /** @throws NotFoundError */
  revokeToken(id: string): Promise<TokenInfo>;
  /** The new secret. @throws NotFoundError when there is no such account */
  rotateWebhookSecret(username: string): Promise<string>;
}

export function administrationOf(accounts: Accounts): Administration {
  return {
    createToken: accounts.createToken,
    listTokens: accounts.listTokens,
    async revokeToken(id) {
      const revoked = await accounts.revokeToken(id);
      if (revoked) return revoked;
      throw new NotFoundError(`There is no token ${id}; \`darkroom token list\` shows all.`);
    },
    async rotateWebhookSecret(username) {
      const account = await accounts.accountByUsername(username);
      if (account) return accounts.rotateWebhookSecret(account.id);
      throw new NotFoundError(`There is no account ${username}; \`darkroom token list\` shows those that have tokens.`);
    },
  };
}
