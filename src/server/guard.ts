/** What every request passes before its body is read: where it comes from, who sends it, and how often. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import ipaddr from 'ipaddr.js';
import type { Accounts } from '../accounts/accounts.ts';
import { localAccount } from '../accounts/directory.ts';
import { hostFault, openServerFault } from './access.ts';
import { createCors } from './cors.ts';
import { notFound, throttled, unauthenticated } from './errors.ts';
import { createBuckets, createRateLimit } from './rate-limit.ts';
import type { Server } from './server.ts';

/** Wrong tokens that one address may send in a minute. */
const guessesPerMinute = 60;

export function guard(
  app: FastifyInstance,
  { settings, accounts, administrationKey }: Pick<Server, 'settings' | 'accounts' | 'administrationKey'>,
): void {
  const cors = createCors(app, settings, accounts.isOpen);
  const limit = createRateLimit(settings);
  const authenticate = createAuthentication(accounts);
  app.decorateRequest('account', '');
  app.addHook('onRequest', async (request, reply): Promise<FastifyReply | undefined> => {
    const { id, method, headers } = request;
    reply.headers({ 'x-request-id': id, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    const fault = hostFault(headers);
    if (fault) throw fault;
    if (await cors(request, reply)) return reply.code(204).send();
    const { config } = request.routeOptions;
    if (request.is404 || config.public) return undefined;
    if (config.administration) {
      if (!isSame(tokenOf(headers.authorization), administrationKey)) throw notFound();
      return undefined;
    }
    const open = await accounts.isOpen();
    const openFault = open ? openServerFault(settings, method, headers) : undefined;
    if (openFault) throw openFault;
    request.account = open ? localAccount : await authenticate(request);
    limit(request, reply, open);
    return undefined;
  });
}

/** Id of the account that the request's token belongs to. @throws Problem 401, or 429 after many wrong tokens */
function createAuthentication(accounts: Pick<Accounts, 'accountOf' | 'isProven'>) {
  const guesses = createBuckets(guessesPerMinute);
  return async ({ headers, ip }: FastifyRequest): Promise<string> => {
    const token = tokenOf(headers.authorization);
    if (token === undefined) throw unauthenticated();
    const address = addressGroup(ip);
    // An address that guesses is not heard any more, but for callers behind it who are known: they may share a proxy.
    const { passed, retryAfter } = guesses.look(address);
    if (!passed && !accounts.isProven(token)) throw throttled(retryAfter);
    const account = await accounts.accountOf(token);
    if (account !== undefined) return account;
    guesses.take(address);
    throw unauthenticated();
  };
}

/** `Bearer <token>` and the older `Token <token>`, in any case. */
export function tokenOf(authorization: string | undefined): string | undefined {
  return /^(?:bearer|token) +(\S+) *$/i.exec(authorization ?? '')?.[1];
}

/** An IPv6 network of 64 bits is one caller: whoever has one has all its addresses. */
export function addressGroup(ip: string): string {
  if (!ipaddr.isValid(ip)) return ip;
  const address = ipaddr.process(ip);
  return address instanceof ipaddr.IPv6 ? address.parts.slice(0, 4).join(':') : address.toString();
}

/** Compared as digests: time tells neither the length nor the first difference. */
function isSame(given: string | undefined, key: string | undefined): boolean {
  if (given === undefined || key === undefined) return false;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(key));
}
