/** Who asks: one token is one account. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** The account of everybody when no tokens are configured. */
export const localAccount = 'local';

/** The account of an `Authorization` header; `undefined` when it must not pass. */
export type Authenticate = (authorization: string | undefined) => string | undefined;

/**
 * `Bearer <token>` and the older `Token <token>`, in any case. Without configured tokens everything passes, whatever
 * the header holds: such a server listens on loopback alone (`access.ts`).
 */
export function createAuthentication(tokens: readonly string[]): Authenticate {
  if (tokens.length === 0) return () => localAccount;
  const digests = tokens.map(digest);
  return (authorization) => {
    const token = /^(?:bearer|token) +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) return undefined;
    const given = digest(token);
    // Digests are of one length and all are compared: time tells neither a token's length nor its place in the list.
    const matches = digests.filter((known) => timingSafeEqual(known, given));
    return matches.length > 0 ? accountOf(given) : undefined;
  };
}

/** The same after a restart, and of no use to who reads it in the database. */
function accountOf(tokenDigest: Buffer): string {
  return createHash('sha256').update('account:').update(tokenDigest).digest('hex').slice(0, 32);
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
