import Replicate from 'replicate';
import type { TestServer } from './server.ts';

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into JSON of every shape
  body: any;
}

/** Sends a body as JSON, or as it is when it is a text, and reads JSON. A header that is undefined is not sent. */
export async function ask(
  { origin }: Pick<TestServer, 'origin'>,
  method: string,
  path: string,
  { token, body, ...headers }: { token?: string; body?: unknown; [header: string]: unknown } = {},
): Promise<Answer> {
  const usual = {
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  const sent = Object.entries({ ...usual, ...headers });
  const response = await fetch(origin + path, {
    method,
    headers: sent.filter((entry): entry is [string, string] => entry[1] !== undefined),
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined };
}

/** The version of the model `test/echo`. */
export const echoVersion = 'e'.repeat(64);

/** Asks as a caller who has the token; every request says that it sends JSON. */
export function askingWith(token: string, server: () => TestServer) {
  const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    ask(server(), method, path, { token, 'content-type': 'application/json', body, ...headers });
  const create = (input: object, headers?: Record<string, string>): Promise<Answer> =>
    call('POST', '/v1/predictions', { version: echoVersion, input }, headers);
  return { call, create };
}

export const clientOf = (server: TestServer, token: string): Replicate =>
  new Replicate({ auth: token, baseUrl: `${server.origin}/v1` });

/** Rows for `test.each`: a short label and the whole value. */
export const labelled = (values: string[]): [string, string][] =>
  values.map((value) => [JSON.stringify(value.slice(0, 30)), value]);
