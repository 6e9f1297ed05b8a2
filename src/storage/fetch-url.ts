/**
 * The only place that reads a URL that came from a caller (`post-url.ts` writes to one). Such a URL is hostile until
 * checked: addresses are checked at every hop, and size and time are bounded while bytes arrive.
 */
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { type Agent, request } from 'undici';
import { InputError, RuntimeFailure } from '../base/errors.ts';
import { guardedAgent, isPrivateLiteral, Refusal } from './guarded-connect.ts';

export interface FetchOptions {
  maxBytes: number;
  /** For everything together: name look-up, redirects, the last byte. */
  timeoutMs: number;
  /** Allows private and loopback addresses. */
  allowPrivate: boolean;
  /** Ends the transfer; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Name of the input that holds the URL, for messages. */
  field?: string;
  kind?: FetchedKind;
  /** Hears of the bytes as they arrive; how many there will be is not always known. */
  onBytes?(bytes: number, total: number | undefined): void;
}

/** What is fetched. */
export interface FetchedKind {
  /** The header of the request. */
  accept: string;
  /** Name of the setting that bounds the size, for messages. */
  sizeSetting: string;
  /** What a caller can do whose URL is not read, for messages. */
  otherWay: string;
}

const picture: FetchedKind = {
  accept: 'image/*, */*;q=0.8',
  sizeSetting: 'DARKROOM_FETCH_MAX_BYTES',
  otherWay: 'send the file as a data URL',
};

const mostRedirects = 5;

/**
 * Writes what the URL answers to `destination`, a path where nothing lies yet.
 *
 * @returns how many bytes were written
 * @throws InputError that names the URL and says what is wrong; nothing is left at `destination`
 */
export async function fetchToFile(url: string, destination: string, options: FetchOptions): Promise<number> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal ? AbortSignal.any([timeout, options.signal]) : timeout;
  const { kind = picture } = options;
  const agent = guardedAgent(options.allowPrivate ? undefined : new Refusal(notPublic(kind)));
  const refuse = (reason: string): InputError =>
    new InputError(`${options.field ? `${options.field}: ` : ''}${shown(url)} ${reason}`, options.field);
  let created = false;
  try {
    const { body, total } = await follow(url, agent, signal, { ...options, kind });
    const file = await open(destination, 'wx', 0o600);
    created = true;
    try {
      return await save(body, file, { ...options, kind, total });
    } finally {
      await file.close();
    }
  } catch (error) {
    if (created) await rm(destination, { force: true });
    options.signal?.throwIfAborted();
    if (timeout.aborted)
      throw refuse(
        `did not answer in full within ${options.timeoutMs / 1000} s; check the address, or ${kind.otherWay}.`,
      );
    throw error instanceof Refusal
      ? refuse(error.message)
      : isNetworkError(error)
        ? refuse(networkReason(error, kind))
        : error;
  } finally {
    await agent.destroy();
  }
}

interface Answer {
  body: Readable;
  /** Bytes, where the answer says so. */
  total: number | undefined;
}

type KindOptions = FetchOptions & { kind: FetchedKind };

async function follow(url: string, agent: Agent, signal: AbortSignal, options: KindOptions): Promise<Answer> {
  let current = url;
  for (let hop = 0; hop <= mostRedirects; hop++) {
    const target = checkUrl(current, options);
    const { statusCode, headers, body } = await request(target, {
      dispatcher: agent,
      signal,
      headersTimeout: options.timeoutMs,
      bodyTimeout: options.timeoutMs,
      // Compressed, a small answer could become a large file; pictures are compressed already.
      headers: { accept: options.kind.accept, 'accept-encoding': 'identity', 'user-agent': 'darkroom' },
    });
    const location = headers.location;
    if (statusCode >= 300 && statusCode < 400 && typeof location === 'string') {
      await discard(body);
      if (!URL.canParse(location, target.href)) throw new Refusal('redirects to something that is not a URL.');
      current = new URL(location, target).href;
      continue;
    }
    if (statusCode !== 200) {
      await discard(body);
      throw new Refusal(`answered ${statusCode}; check that the address is right and readable without signing in.`);
    }
    const encoding = headers['content-encoding'];
    if (encoding && encoding !== 'identity') {
      await discard(body);
      throw new Refusal(
        `answered with content-encoding ${encoding} although none was asked for; give another address.`,
      );
    }
    const total = Number(headers['content-length']) || undefined;
    if (total && total > options.maxBytes) {
      await discard(body);
      throw new Refusal(tooLarge(options));
    }
    return { body, total };
  }
  throw new Refusal(`redirects more than ${mostRedirects} times; give the final address.`);
}

/** What can be known about a URL before its name is looked up. */
function checkUrl(url: string, { allowPrivate, kind }: KindOptions): URL {
  if (!URL.canParse(url)) throw new Refusal('is not a URL.');
  const target = new URL(url);
  if (target.protocol !== 'http:' && target.protocol !== 'https:') {
    throw new Refusal(`leads to a ${target.protocol} address; only http and https are read.`);
  }
  if (target.username || target.password) {
    throw new Refusal('holds a user name or a password; give an address that needs none.');
  }
  if (!allowPrivate && isPrivateLiteral(target)) throw new Refusal(notPublic(kind));
  return target;
}

type SaveOptions = KindOptions & Pick<Answer, 'total'>;

async function save(body: Readable, file: FileHandle, options: SaveOptions): Promise<number> {
  let size = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > options.maxBytes) throw new Refusal(tooLarge(options));
    options.onBytes?.(size, options.total);
    let written = 0;
    try {
      while (written < chunk.length) written += (await file.write(chunk, written)).bytesWritten;
    } catch (error) {
      // A full disk is no fault of the URL.
      throw new RuntimeFailure('The file could not be written.', { cause: error });
    }
  }
  if (size === 0) throw new Refusal('answered without content.');
  return size;
}

/** Reads nothing more of an answer; destroying it would raise an error that nobody waits for. */
async function discard(body: Readable): Promise<void> {
  body.on('error', () => {});
  body.destroy();
}

function notPublic({ otherWay }: FetchedKind): string {
  return (
    'leads to a private or reserved network address, which this server does not read; ' +
    `${otherWay}, or allow such addresses with DARKROOM_FETCH_PRIVATE=1.`
  );
}

function tooLarge({ maxBytes, kind }: KindOptions): string {
  return `is larger than ${(maxBytes / 2 ** 20).toFixed(1)} MiB, the most that is read; send a smaller file, or raise ${kind.sizeSetting}.`;
}

/** Everything of the socket, of TLS and of the parser; errors of the file system name their path. */
function isNetworkError(error: unknown): error is NodeJS.ErrnoException {
  if (!(error instanceof Error) || 'path' in error) return false;
  return error.name === 'HTTPParserError' || typeof (error as NodeJS.ErrnoException).code === 'string';
}

function networkReason(error: NodeJS.ErrnoException, { otherWay }: FetchedKind): string {
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'cannot be reached: its host name is not known; check the spelling.';
    case 'ECONNREFUSED':
      return 'cannot be reached: the host refuses connections on this port.';
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      return `broke off in the middle of its answer; try again, or ${otherWay}.`;
    default:
      return `cannot be read (${error.code ?? 'the host does not speak HTTP'}); check the address.`;
  }
}

/** The URL as a message may show it: without query, which can hold a signature, and not endless. */
function shown(url: string): string {
  if (!URL.canParse(url)) return JSON.stringify(url.slice(0, 100));
  const { origin, pathname } = new URL(url);
  const short = `${origin}${pathname}`;
  return short.length > 200 ? `${short.slice(0, 200)}…` : short;
}
