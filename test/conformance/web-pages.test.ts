/** From which web pages one may call. Numbers are those of docs/api.md. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask } from '../support/ask.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const createBody = JSON.stringify({ version: 'test/echo', input: {} });

let server: TestServer;
const page = 'https://app.example';
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_one'], corsOrigins: [page] });
});
afterAll(() => server?.close());

const preflight = (path: string, origin: string) =>
  ask(server, 'OPTIONS', path, {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization, content-type, prefer',
  });

test('D26 a named origin may ask, read and see the headers', async () => {
  const { status, headers } = await preflight('/v1/predictions', page);
  expect(status).toBe(204);
  expect(headers.get('access-control-allow-origin')).toBe(page);
  expect(headers.get('access-control-allow-methods')).toContain('POST');
  expect(headers.get('access-control-allow-headers')).toBe('authorization, content-type, prefer');
  expect(headers.get('access-control-allow-credentials')).toBeNull();
  expect(headers.get('vary')).toBe('Origin');
  for (const token of ['r8_one', undefined]) {
    const answer = await ask(server, 'GET', '/v1/predictions', { origin: page, token });
    expect(answer.status).toBe(token ? 200 : 401);
    expect(answer.headers.get('access-control-allow-origin')).toBe(page);
    expect(answer.headers.get('access-control-expose-headers')).toContain('retry-after');
  }
});

test('D26 no other origin may', async () => {
  for (const origin of ['https://evil.example', 'null', `${page}.evil.example`, 'http://app.example', `${page}:8443`]) {
    const { status, headers } = await preflight('/v1/predictions', origin);
    expect(status).toBe(405);
    expect(headers.get('access-control-allow-origin')).toBeNull();
    const read = await ask(server, 'GET', '/v1/predictions', { origin, token: 'r8_one' });
    expect(read.headers.get('access-control-allow-origin')).toBeNull();
  }
});

test('D26 S25 delivered files may be read from everywhere, in parts too', async () => {
  const { body } = await ask(server, 'POST', '/v1/predictions', {
    token: 'r8_one',
    body: createBody,
    prefer: 'wait',
  });
  const path = new URL(body.output[0]).pathname;
  const asked = await preflight(path, 'https://other.example');
  expect(asked.status).toBe(204);
  expect(asked.headers.get('access-control-allow-origin')).toBe('*');
  const part = await fetch(server.origin + path, {
    headers: { origin: 'https://other.example', range: 'bytes=0-1' },
  });
  expect(part.status).toBe(206);
  expect(part.headers.get('access-control-allow-origin')).toBe('*');
  expect(part.headers.get('access-control-expose-headers')).toContain('content-range');
});
