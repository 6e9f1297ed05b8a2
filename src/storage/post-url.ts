/** The only place that sends to a URL that came from a caller. It is as hostile as one that is read (`fetch-url.ts`). */
import { request } from 'undici';
import { guardedAgent, isPrivateLiteral, Refusal } from './guarded-connect.ts';

export interface PostOptions {
  headers: Record<string, string>;
  body: string;
  /** Until the answer's status is there. */
  timeoutMs: number;
  /** Allows private and loopback addresses, and plain http. */
  allowPrivate: boolean;
  /** Ends the transfer; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface Posted {
  /** What was answered; `undefined` without an answer. */
  status: number | undefined;
  /** Why it does not count as received; `undefined` when it does. */
  error: string | undefined;
}

/** What is read of an answer, which says nothing but its status: enough that most receivers see it taken. */
const answerBytes = 64 * 1024;
const answerMs = 1_000;

/** Sends once, without following redirects. What the receiver does wrong is part of the result. */
export async function postToUrl(url: string, options: PostOptions): Promise<Posted> {
  const fault = postFault(url, options.allowPrivate);
  if (fault !== undefined) return { status: undefined, error: fault };
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const agent = guardedAgent(options.allowPrivate ? undefined : new Refusal(notPublic));
  try {
    const { statusCode, body } = await request(url, {
      method: 'POST',
      dispatcher: agent,
      signal: options.signal ? AbortSignal.any([timeout, options.signal]) : timeout,
      headersTimeout: options.timeoutMs,
      bodyTimeout: answerMs,
      headers: { 'content-type': 'application/json', 'user-agent': 'darkroom', ...options.headers },
      body: options.body,
    });
    // An error here is one that nobody waits for: the status says it all.
    body.on('error', () => {});
    await body.dump({ limit: answerBytes, signal: AbortSignal.timeout(answerMs) }).catch(() => {});
    return { status: statusCode, error: statusFault(statusCode) };
  } catch (error) {
    options.signal?.throwIfAborted();
    const seconds = options.timeoutMs / 1000;
    return { status: undefined, error: timeout.aborted ? `did not answer within ${seconds} s` : reasonOf(error) };
  } finally {
    await agent.destroy();
  }
}

/** What can be known against a URL before its name is looked up; `undefined` when nothing is. */
export function postFault(url: string, allowPrivate: boolean): string | undefined {
  const target = URL.canParse(url) ? new URL(url) : undefined;
  if (!target || !/^https?:$/.test(target.protocol)) return 'is not an http or https URL';
  if (target.username || target.password) return 'holds a user name or a password; put a token into its query instead';
  if (allowPrivate) return undefined;
  if (target.protocol === 'http:') {
    return 'is not encrypted; use https, or allow http and private addresses with DARKROOM_WEBHOOK_PRIVATE=1';
  }
  return isPrivateLiteral(target) ? notPublic : undefined;
}

const notPublic =
  'leads to a private or reserved network address; allow such addresses with DARKROOM_WEBHOOK_PRIVATE=1';

function statusFault(status: number): string | undefined {
  if (status >= 200 && status < 300) return undefined;
  return status >= 300 && status < 400
    ? `answered ${status}; redirects are not followed, so give the final address`
    : `answered ${status}`;
}

function reasonOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'cannot be reached: its host name is not known';
    case 'ECONNREFUSED':
      return 'cannot be reached: the host refuses connections on this port';
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
      return 'closed the connection without an answer';
    default:
      return `cannot be reached (${code ?? 'the host does not speak HTTP'})`;
  }
}
