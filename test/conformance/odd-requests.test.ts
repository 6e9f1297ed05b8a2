/** Requests that no client library sends. Numbers are those of docs/api.md. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askingWith } from '../support/ask.ts';
import { exchange, requestHead } from '../support/http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_one', 'r8_two'], concurrency: 0 });
});
afterAll(() => server?.close());

const { call } = askingWith('r8_one', () => server);

test.each(['{"version":', '[1,2', 'nonsense', '{"a":1}}', "{'a':1}", '\ufeff\ufeff{}', '{"a":\u0001}'])(
  'S30 %j is not JSON',
  async (text) => {
    const { status, headers, body } = await call('POST', '/predictions', text);
    expect(status).toBe(400);
    expect(headers.get('content-type')).toMatch('application/problem+json');
    expect(body).toEqual({ detail: expect.stringContaining('not valid JSON'), status: 400 });
  },
);

test('S30 bytes that are not UTF-8 are not JSON', async () => {
  const body = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
  const head = requestHead('POST /predictions', { authorization: 'Bearer r8_one', 'content-length': body.length });
  expect(await exchange(server.port, Buffer.concat([Buffer.from(head), body]))).toMatch(/^HTTP\/1\.1 400 /);
});

test('S30 a deeply nested body is answered like any other', async () => {
  const nested = `{"version":"test/echo","input":{"text":${'['.repeat(500_000)}${']'.repeat(500_000)}}}`;
  const { status, body } = await call('POST', '/predictions', nested);
  expect(status).toBe(422);
  expect(body.invalid_fields[0].description).toBe('Invalid type. Expected: string, given: array');
});

test('S30 405 names what is answered', async () => {
  for (const [method, path, allow] of [
    ['DELETE', '/predictions', 'GET, HEAD, POST'],
    ['PUT', '/v1/predictions/abc', 'GET, HEAD'],
    ['GET', '/predictions/abc/cancel', 'POST'],
    ['PUT', '/models', 'GET, HEAD, POST, QUERY'],
    ['PUT', '/v1/models/test/echo', 'DELETE, GET, HEAD, PATCH'],
    ['DELETE', '/healthz', 'GET, HEAD'],
  ] as const) {
    const { status, headers, body } = await call(method, path);
    expect(status).toBe(405);
    expect(headers.get('allow')).toBe(allow);
    expect(body.status).toBe(405);
  }
});

test('S29 unknown addresses', async () => {
  for (const path of ['/nothing', '/v1/models/test', '/deployments/local', '/', '/v1']) {
    const { status, body } = await call('GET', path);
    expect(status).toBe(404);
    expect(body).toEqual({ detail: 'The requested resource could not be found.', status: 404 });
  }
});

test('S30 an address that cannot be decoded', async () => {
  for (const path of ['/predictions/%zz', '/models/%c3%28/echo', '/f/%/x']) {
    const answer = await exchange(server.port, requestHead(`GET ${path}`, { authorization: 'Bearer r8_one' }));
    expect(answer).toMatch(/^HTTP\/1\.1 40[04] .*"status":40[04]/s);
    expect(answer).not.toMatch(/node_modules|\.ts:/);
  }
});

test('D1 mounts and slashes', async () => {
  for (const path of [
    '/models/test/echo',
    '/v1/models/test/echo',
    '/v1/v1/models/test/echo',
    '/v1/models/test/echo/',
    '//models/test/echo',
    '//v1/models/test/echo',
    '/v1//models/test/echo',
  ]) {
    const { status, body } = await call('GET', path);
    expect(`${path} ${status} ${body.name}`).toBe(`${path} 200 echo`);
  }
  expect((await call('GET', '/v1beta/models/test/echo')).status).toBe(404);
  const created = await call('POST', '/v1/v1/predictions/', { version: 'test/echo', input: {} });
  expect(created.body.urls.get).toBe(`${server.origin}/v1/predictions/${created.body.id}`);
});

test('D2 bodies without a type, with parameters, of other types, and none', async () => {
  const body = '{"version":"test/echo","input":{}}';
  const status = async (headers: Record<string, string>, text = body): Promise<string> => {
    const head = requestHead('POST /predictions', {
      authorization: 'Bearer r8_one',
      'content-length': text.length,
      ...headers,
    });
    return (await exchange(server.port, head + text)).slice(9, 12);
  };
  expect(await status({})).toBe('201');
  expect(await status({ 'content-type': 'application/json; charset=utf-8' })).toBe('201');
  expect(await status({ 'content-type': 'application/vnd.api+json' })).toBe('201');
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'x', ';']) {
    expect(await status({ 'content-type': type })).toBe('415');
  }
  expect(await status({ 'content-type': 'application/json' }, '')).toBe('422');
});

test('D15 every reply has a name, and the log holds neither token nor query nor key', async () => {
  const { headers } = await call('GET', '/v1/predictions?cursor=secret-cursor');
  const id = headers.get('x-request-id')!;
  await fetch(`${server.origin}/v1/f/${'K'.repeat(32)}/secret.png`);
  await fetch(`${server.origin}/%66/${'K'.repeat(32)}/secret.png`);
  await fetch(`${server.origin}/f%2f${'K'.repeat(32)}`);
  const line = JSON.parse(
    server
      .log()
      .split('\n')
      .find((text) => text.includes(id))!,
  );
  expect(line).toMatchObject({ method: 'GET', path: '/v1/predictions', status: 422, request: id });
  for (const secret of ['r8_one', 'secret-cursor', 'K'.repeat(32)]) expect(server.log()).not.toContain(secret);
  expect(server.log()).toContain('/f/:key/:name');
});

test('D14 URLs follow the Host, and a proxy on this machine', async () => {
  const urlWith = async (headers: Record<string, string>): Promise<string> => {
    const body = '{"version":"test/echo","input":{}}';
    const head = requestHead('POST /predictions', {
      authorization: 'Bearer r8_one',
      'content-length': body.length,
      ...headers,
    });
    return JSON.parse((await exchange(server.port, head + body)).split('\r\n\r\n')[1]!).urls.get;
  };
  expect(await urlWith({ host: 'box.example:81' })).toMatch(/^http:\/\/box\.example:81\/v1\/predictions\//);
  expect(await urlWith({ 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' })).toMatch(
    /^https:\/\/shop\.example\/v1\//,
  );
  expect(await urlWith({ 'x-forwarded-proto': 'javascript', 'x-forwarded-host': 'a"b' })).toMatch(
    /^http:\/\/127\.0\.0\.1\/v1\//,
  );
});

test('S30 a Host that is none', async () => {
  const head = requestHead('GET /models', { authorization: 'Bearer r8_one', host: 'a b"c' });
  expect(await exchange(server.port, head)).toMatch(/^HTTP\/1\.1 400 /);
});
