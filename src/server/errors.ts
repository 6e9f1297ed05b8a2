/**
 * The only place that knows which status code an error is answered with. Bodies follow RFC 7807 in the form that the
 * public service uses: `detail` and `status` always, `title` where the service has one.
 */
import type { FastifyReply } from 'fastify';
import { InputError, NotFoundError } from '../base/errors.ts';
import type { InvalidField } from '../catalog/validate.ts';

interface ProblemOptions {
  title?: string;
  /** Further members of the body. */
  members?: Record<string, unknown>;
  headers?: Record<string, string>;
}

/** An answer that is not a success. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly options: ProblemOptions;
  constructor(status: number, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.status = status;
    this.options = options;
  }
}

/** Some clients repeat every request that fails, creates too; this tells them that repeating does not help. */
const neverRetry = { 'x-should-retry': 'false' };

/** More faults than this help nobody, and a hostile body could hold millions. */
const mostFaults = 100;

export function badRequest(detail: string): Problem {
  return new Problem(400, detail, { headers: neverRetry });
}

export function unauthenticated(): Problem {
  return new Problem(401, 'You did not pass a valid authentication token', {
    title: 'Unauthenticated',
    headers: { 'www-authenticate': 'Bearer' },
  });
}

export function forbidden(detail: string): Problem {
  return new Problem(403, detail, { headers: neverRetry });
}

/** Unknown and foreign are answered alike, so that nobody learns what exists. */
export function notFound(): Problem {
  return new Problem(404, 'The requested resource could not be found.');
}

export function gone(detail: string): Problem {
  return new Problem(410, detail, { title: 'Gone', headers: neverRetry });
}

/** Some clients repeat on this code, unless they are told not to. */
export function conflict(detail: string): Problem {
  return new Problem(409, detail, { title: 'Conflict', headers: neverRetry });
}

export function methodNotAllowed(allowed: readonly string[]): Problem {
  const list = allowed.join(', ');
  return new Problem(405, `This address answers ${list} alone.`, { headers: { allow: list } });
}

export function bodyTooLarge(limit: number): Problem {
  const detail =
    `The request body is larger than ${limit} bytes. Give large files as URLs instead of data URLs, ` +
    'such as those of files uploaded by POST /v1/files, or raise DARKROOM_BODY_MAX_BYTES on the server.';
  return new Problem(413, detail, { title: 'Payload too large', headers: { ...neverRetry, connection: 'close' } });
}

export function uploadTooLarge(limit: number): Problem {
  const detail = `The file is larger than ${limit} bytes. Send a smaller one, or raise DARKROOM_UPLOAD_MAX_BYTES on the server.`;
  return new Problem(413, detail, { title: 'Payload too large', headers: { ...neverRetry, connection: 'close' } });
}

/** 413 too: a 5xx would make the JavaScript client send the file as a data URL instead. */
export function noRoom(quota: number): Problem {
  const detail =
    `With this file the account's uploads would take more than ${quota} bytes together. ` +
    'Delete some with DELETE /files/{id}, wait until some expire, or raise DARKROOM_UPLOAD_QUOTA on the server.';
  return new Problem(413, detail, { title: 'Upload quota exceeded', headers: { ...neverRetry, connection: 'close' } });
}

export function notMultipart(): Problem {
  return new Problem(415, 'Send the file as multipart/form-data, in a part that is named "content".', {
    headers: neverRetry,
  });
}

export function unsupportedMediaType(): Problem {
  return new Problem(415, 'Send the body as JSON, with the header Content-Type: application/json.', {
    headers: neverRetry,
  });
}

export function invalidVersion(): Problem {
  const detail = "The specified version does not exist (or perhaps you don't have permission to use it?)";
  return new Problem(422, detail, { title: 'Invalid version or not permitted', headers: neverRetry });
}

export function invalidInput(faults: readonly InvalidField[]): Problem {
  const reported = faults.slice(0, mostFaults);
  const detail = reported.map(({ field, description }) => `- ${field}: ${description}\n`).join('');
  return new Problem(422, detail, {
    title: 'Input validation failed',
    members: { invalid_fields: reported },
    headers: neverRetry,
  });
}

export function invalidHeader(name: string, detail: string): Problem {
  return new Problem(422, detail, { title: `Invalid ${name} header`, headers: neverRetry });
}

/** @param seconds until the next request passes */
export function throttled(seconds: number): Problem {
  return new Problem(429, `Request was throttled. Your rate limit resets in ~${seconds}s.`, {
    members: { retry_after: seconds },
    headers: { 'retry-after': String(seconds), 'x-should-retry': 'true' },
  });
}

/** Something that the API has and this server does not. Refused, because accepting it would promise what never comes. */
export function notAvailable(title: string, detail: string): Problem {
  return new Problem(422, detail, { title, headers: neverRetry });
}

function unprocessable(detail: string): Problem {
  return new Problem(422, detail, { headers: neverRetry });
}

/** Every error as an answer; what is not foreseen becomes a 500 that says nothing about the inside. */
export function toProblem(error: unknown, requestId: string): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof InputError) return unprocessable(error.message);
  if (error instanceof NotFoundError) return notFound();
  const { code, statusCode } = error as { code?: string; statusCode?: number };
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return unsupportedMediaType();
  // Errors that Fastify raises over a request, such as a path that cannot be decoded.
  if (code?.startsWith('FST_ERR_') && statusCode && statusCode < 500) {
    return new Problem(statusCode, (error as Error).message, { headers: neverRetry });
  }
  if (statusCode === 400) return badRequest('The request broke off before its end.');
  return new Problem(500, `The server met an error of its own; its log has the details under request ${requestId}.`, {
    title: 'Internal server error',
  });
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  const { title, members, headers } = problem.options;
  return reply
    .code(problem.status)
    .headers({ ...headers, 'content-type': 'application/problem+json' })
    .serializer(JSON.stringify)
    .send({ ...(title === undefined ? {} : { title }), detail: problem.message, status: problem.status, ...members });
}
