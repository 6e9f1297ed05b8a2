/** The operator's commands: on the database, or through the server while it holds the embedded one. */
import { openAccounts } from '../accounts/accounts.ts';
import { type Administration, administrationOf } from '../accounts/administration.ts';
import type { TokenInfo } from '../accounts/tokens.ts';
import { InputError } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import { openDatabase } from '../database/connect.ts';
import { UsageError } from './command.ts';
import { findServer, type RunningServer } from './running-server.ts';

const answerWithinMs = 10_000;

/** Does the work with whatever can be reached. @throws UsageError, SettingsError */
export async function withAdministration<Result>(
  settings: Settings,
  work: (administration: Administration) => Promise<Result>,
): Promise<Result> {
  const server = settings.databaseUrl ? undefined : await findServer(settings);
  // One that was killed left its file behind; then the database is free.
  if (server && (await isThere(server))) return work(throughServer(server));
  const log = createLog(settings.logLevel === 'debug' ? 'debug' : 'silent');
  const database = await openDatabase(settings, log);
  const accounts = await openAccounts(database, settings, log);
  try {
    return await work(administrationOf(accounts));
  } catch (error) {
    throw error instanceof InputError ? new UsageError(error.message) : error;
  } finally {
    accounts.close();
    await database.close();
  }
}

interface TokenJson extends Omit<TokenInfo, 'createdAt' | 'lastUsedAt' | 'revokedAt'> {
  createdAt: string;
  lastUsedAt: string | null;
  revokedAt: string | null;
}

function throughServer(server: RunningServer): Administration {
  return {
    async createToken(request) {
      const { token, info } = await wanted<{ token: string; info: TokenJson }>(server, 'POST', '/tokens', request);
      return { token, info: tokenOf(info) };
    },
    async listTokens() {
      const { results } = await wanted<{ results: TokenJson[] }>(server, 'GET', '/tokens');
      return results.map(tokenOf);
    },
    async revokeToken(id) {
      const revoked = await ask<TokenJson>(server, 'POST', `/tokens/${encodeURIComponent(id)}/revoke`);
      return revoked && tokenOf(revoked);
    },
    async rotateSecretOf(account) {
      return (await ask<{ key: string }>(server, 'POST', '/webhook-secret/rotate', { account }))?.key;
    },
  };
}

async function isThere(server: RunningServer): Promise<boolean> {
  return ask(server, 'GET', '/tokens').then(
    (answer) => answer !== undefined,
    () => false,
  );
}

async function wanted<Answer>(...request: Parameters<typeof ask>): Promise<Answer> {
  const answer = await ask<Answer>(...request);
  if (answer !== undefined) return answer;
  throw new UsageError('The running server does not know this command. Restart it, so that both are of one version.');
}

/** The answer; `undefined` for what is not there. */
async function ask<Answer>(
  { address, key }: RunningServer,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<Answer | undefined> {
  const response = await fetch(`${address}/admin${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    redirect: 'error',
    signal: AbortSignal.timeout(answerWithinMs),
  });
  if (response.status === 404) return undefined;
  const answer = (await response.json()) as Answer & { detail?: string };
  if (!response.ok) throw new UsageError(answer.detail ?? `The server answered ${response.status}.`);
  return answer;
}

function tokenOf({ createdAt, lastUsedAt, revokedAt, ...rest }: TokenJson): TokenInfo {
  return { ...rest, createdAt: new Date(createdAt), lastUsedAt: date(lastUsedAt), revokedAt: date(revokedAt) };
}

function date(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
