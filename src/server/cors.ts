/** Which web pages of other origins may use the API from a browser (CORS). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Settings } from '../base/settings.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Any web page may read the answer: who knows the address may have the bytes. */
    anyOrigin?: boolean;
  }
}

/** What a page may read beside the body. */
const exposed = [
  ...['accept-ranges', 'content-range', 'etag', 'location', 'preference-applied', 'ratelimit-remaining'],
  ...['ratelimit-reset', 'retry-after', 'x-ignored-inputs', 'x-request-id'],
].join(', ');

const methods = 'GET, HEAD, POST, PUT, PATCH, DELETE, QUERY';
/** Also how long a browser need not ask again. */
const preflightSeconds = '7200';

/** Sets what a browser wants to know. Resolves to true when the request was no more than the question whether it may. */
export type Cors = (request: FastifyRequest, reply: FastifyReply) => Promise<boolean>;

/**
 * Off unless origins are named. Without `Access-Control-Allow-Credentials`: a page proves itself by the token that it
 * sends, never by cookies. `*` does not count while no token is asked for: every page open on this machine could read
 * what is here.
 *
 * @param isOpen whether no token is asked for
 */
export function createCors(
  app: FastifyInstance,
  { corsOrigins }: Pick<Settings, 'corsOrigins'>,
  isOpen: () => Promise<boolean>,
): Cors {
  const toAnybody = new Set<string>();
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.anyOrigin) toAnybody.add(url);
  });
  const allowed = async (request: FastifyRequest, origin: string): Promise<string | undefined> => {
    if (toAnybody.has(request.routeOptions.url ?? '')) return '*';
    if (corsOrigins.includes(origin)) return origin;
    return corsOrigins.includes('*') && !(await isOpen()) ? '*' : undefined;
  };
  return async (request, reply) => {
    const { origin } = request.headers;
    if (corsOrigins.length > 0) reply.header('vary', 'Origin');
    const allow = origin === undefined ? undefined : await allowed(request, origin);
    if (allow === undefined) return false;
    reply.headers({ 'access-control-allow-origin': allow, 'access-control-expose-headers': exposed });
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return false;
    reply.headers({
      'access-control-allow-methods': methods,
      // As asked: which headers are sent changes nothing about what a token may do.
      'access-control-allow-headers': request.headers['access-control-request-headers'] ?? '',
      'access-control-max-age': preflightSeconds,
    });
    return true;
  };
}
