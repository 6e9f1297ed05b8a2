import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { badRequest, bodyTooLarge, unsupportedMediaType } from './errors.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** SHA-256 of the body's bytes; empty without a body. */
    bodyDigest: string;
  }
}

/**
 * Bodies are JSON, also where no Content-Type says so, and may be missing: some clients announce JSON on every request
 * and send nothing.
 *
 * @param longest what a body may have where its route reads it by itself
 */
export function readJsonBodies(app: FastifyInstance, limit: number, longest: number): void {
  app.addHook('onRequest', ({ raw, routeOptions }, _reply, done) => {
    const hasBody = raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length'] ?? 0) > 0;
    if (hasBody && raw.headers['content-type'] === undefined) raw.headers['content-type'] = 'application/json';
    done(Number(raw.headers['content-length']) > routeOptions.bodyLimit ? bodyTooLarge(limit) : undefined);
  });
  app.server.on('checkContinue', (request, response) => {
    // A client that asks first is not told to go on when its body would be refused.
    if (!(Number(request.headers['content-length']) > Math.max(limit, longest))) response.writeContinue();
    app.server.emit('request', request, response);
  });
  app.removeAllContentTypeParsers();
  const json = /^application\/(?:[\w.-]+\+)?json *(?:;|$)/;
  app.decorateRequest('bodyDigest', '');
  app.addContentTypeParser<Buffer>(json, { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    request.bodyDigest = createHash('sha256').update(body).digest('base64');
    return parseJson(body);
  });
  // A search is words and no JSON; nothing else is.
  const plainText = /^text\/plain *(?:;|$)/;
  app.addContentTypeParser<Buffer>(
    plainText,
    { parseAs: 'buffer' },
    async ({ method }: FastifyRequest, body: Buffer) => {
      if (method !== 'QUERY') throw unsupportedMediaType();
      return body.toString();
    },
  );
}

/** How long the rest of a refused upload is read and thrown away. */
const lingerMs = 5000;

/**
 * Closes the connection as web servers do in the middle of an upload: the answer goes out, then the sending side is
 * closed, and what still arrives is thrown away for a while. Closed at once, the client's own system would discard the
 * answer before the client reads it.
 */
export function lingerBeforeClose(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    socket.once('close', () => clearTimeout(timer));
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parseJson(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    const text = utf8.decode(body);
    return withExactIntegers(JSON.parse(text), text);
  } catch (error) {
    throw badRequest(
      `The request body is not valid JSON: ${error instanceof SyntaxError ? error.message : 'not UTF-8'}.`,
    );
  }
}

/**
 * `JSON.parse` rounds whole numbers beyond 2^53. Those of an `input` become bigints, so that a seed of 64 bits keeps its
 * digits.
 */
function withExactIntegers(parsed: unknown, text: string): unknown {
  const input = inputOf(parsed);
  const rounded = Object.keys(input).filter((name) => isRounded(input[name]));
  if (rounded.length === 0) return parsed;
  // The same once more with such numbers in quotes, but for digits in a text.
  let inText = false;
  const quoted = text.replace(/\\.|"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) => {
    if (token === '"') inText = !inText;
    return !inText && /^-?\d{16,40}$/.test(token) ? `"${token}"` : token;
  });
  const digits = inputOf(JSON.parse(quoted));
  for (const name of rounded) {
    if (typeof digits[name] === 'string') input[name] = BigInt(digits[name]);
  }
  return parsed;
}

function inputOf(body: unknown): Record<string, unknown> {
  const input = (body as { input?: unknown } | null)?.input;
  return typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : {};
}

function isRounded(value: unknown): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value);
}
