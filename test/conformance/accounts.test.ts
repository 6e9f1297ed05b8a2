/** Who calls, how often, and from which web page. Numbers are those of docs/api.md. */
import { createHmac } from 'node:crypto';
import Replicate, { validateWebhook } from 'replicate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange, requestHead } from '../support/http.ts';
import { startTestServer, type TestServer, testAdministrationKey } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into JSON of every shape
  body: any;
}

async function ask(
  server: TestServer,
  method: string,
  path: string,
  { token, body, ...headers }: Record<string, string | undefined> = {},
): Promise<Answer> {
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const sent = Object.entries({ ...type, ...headers, ...(token && { authorization: `Bearer ${token}` }) });
  const response = await fetch(server.origin + path, {
    method,
    headers: sent.filter((entry): entry is [string, string] => entry[1] !== undefined),
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined };
}

const clientOf = (server: TestServer, token: string): Replicate =>
  new Replicate({ auth: token, baseUrl: `${server.origin}/v1` });

const createBody = JSON.stringify({ version: 'test/echo', input: {} });

describe('accounts', () => {
  let server: TestServer;
  let [shop, alsoShop, lab] = ['', '', ''];
  beforeAll(async () => {
    server = await startTestServer();
    const make = async (account: string) => (await server.accounts.createToken({ name: 'test', account })).token;
    [shop, alsoShop, lab] = [await make('shop'), await make('shop'), await make('lab')];
  });
  afterAll(() => server?.close());

  test('S2 D23 tokens of one account see the same, those of another see nothing of it', async () => {
    const { id } = await clientOf(server, shop).predictions.create({ model: 'test/echo', input: {} });
    expect((await clientOf(server, alsoShop).predictions.get(id)).id).toBe(id);
    for (const [method, path] of [
      ['GET', `/v1/predictions/${id}`],
      ['POST', `/v1/predictions/${id}/cancel`],
    ] as const) {
      const foreign = await ask(server, method, path, { token: lab });
      const unknown = await ask(server, method, path.replace(id, '0'.repeat(26)), { token: lab });
      expect(foreign.status).toBe(404);
      expect(foreign.body).toEqual(unknown.body);
    }
    expect((await clientOf(server, lab).predictions.list()).results).toEqual([]);
    // Not canceled by the stranger.
    const ended = await waitUntil('it ends', async () => {
      const prediction = await clientOf(server, shop).predictions.get(id);
      return prediction.completed_at ? prediction : undefined;
    });
    expect(ended.status).toBe('succeeded');
  });

  test('S31 the client asks who it is', async () => {
    expect(await clientOf(server, shop).accounts.current()).toEqual({
      type: 'user',
      username: 'shop',
      name: 'shop',
      github_url: null,
      avatar_url: null,
    });
  });

  test('S32 D25 the client validates webhooks with the secret that it asks for, before and after a rotation', async () => {
    const secrets = clientOf(server, shop).webhooks.default.secret;
    const old = await secrets.get();
    expect(old.key).toMatch(/^whsec_[A-Za-z0-9+/]{32}$/);
    expect((await clientOf(server, alsoShop).webhooks.default.secret.get()).key).toBe(old.key);
    expect((await clientOf(server, lab).webhooks.default.secret.get()).key).not.toBe(old.key);

    const { status, body } = await ask(server, 'POST', '/v1/webhooks/default/secret/rotate', { token: shop });
    expect(status).toBe(200);
    const hours = (Date.parse(body.previous_valid_until) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(23.9);
    expect(hours).toBeLessThanOrEqual(24);
    const current = await secrets.get();
    expect(current.key).toBe(body.key);
    expect(current.key).not.toBe(old.key);

    const account = (await server.accounts.accountByUsername('shop'))!.id;
    const signing = await server.accounts.webhookSecrets(account);
    expect(signing).toEqual([current.key, old.key]);
    const [id, timestamp, content] = ['msg_1', '1767225600', '{"id":"a"}'];
    const signature = signing
      .map((secret) => createHmac('sha256', Buffer.from(secret.slice('whsec_'.length), 'base64')))
      .map((mac) => `v1,${mac.update(`${id}.${timestamp}.${content}`).digest('base64')}`)
      .join(' ');
    for (const { key: secret } of [old, current]) {
      expect(await validateWebhook({ id, timestamp, signature, body: content, secret })).toBe(true);
    }
    const { key: foreign } = await clientOf(server, lab).webhooks.default.secret.get();
    expect(await validateWebhook({ id, timestamp, signature, body: content, secret: foreign })).toBe(false);
  });

  test('D23 a revoked token passes no more, others do', async () => {
    const { token, info } = await server.accounts.createToken({ name: 'lost', account: 'shop' });
    expect((await ask(server, 'GET', '/account', { token })).status).toBe(200);
    await server.accounts.revokeToken(info.id);
    expect((await ask(server, 'GET', '/account', { token })).status).toBe(401);
    expect((await ask(server, 'GET', '/account', { token: shop })).status).toBe(200);
  });

  test('D24 an address that guesses is not heard any more; others are, and known tokens', async () => {
    const from = (ip: string, token: string) => ask(server, 'GET', '/account', { token, 'x-forwarded-for': ip });
    expect((await from('192.0.2.7', shop)).status).toBe(200);
    const { token: unheard } = await server.accounts.createToken({ name: 'new', account: 'shop' });
    let guesses = 0;
    let refused = await from('192.0.2.7', 'drk_0');
    // One more is heard each second.
    for (; refused.status === 401 && guesses < 120; guesses++) refused = await from('192.0.2.7', `drk_${guesses}`);
    expect(guesses).toBeGreaterThanOrEqual(60);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await from('192.0.2.7', unheard)).status).toBe(429);
    expect((await from('192.0.2.8', shop)).status).toBe(200);
    expect((await from('192.0.2.7', shop)).status).toBe(200);
    expect((await from('192.0.2.8', 'drk_next')).status).toBe(401);
  });

  test('the administration is not there without its key', async () => {
    for (const token of [undefined, shop, 'guess']) {
      for (const [method, path] of [
        ['GET', '/admin/tokens'],
        ['POST', '/admin/tokens'],
        ['POST', '/v1/admin/tokens/abc/revoke'],
        ['POST', '/admin/webhook-secret/rotate'],
      ] as const) {
        expect(await ask(server, method, path, { token })).toMatchObject({ status: 404 });
      }
    }
    const answer = await ask(server, 'POST', '/admin/tokens', { token: testAdministrationKey, body: '{"name":5}' });
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toBe('- : name is required\n- : account is required\n');
  });

  test('D15 what a request calls itself is kept when it can be logged as it is', async () => {
    const nameOf = async (given: string) =>
      (await ask(server, 'GET', '/account', { token: shop, 'x-request-id': given })).headers.get('x-request-id');
    expect(await nameOf('proxy-4711.a_b')).toBe('proxy-4711.a_b');
    for (const odd of ['short', 'a b c d e f', '"quoted-name"', 'x'.repeat(65), '{"a":"bcdefgh"}']) {
      expect(await nameOf(odd)).toMatch(/^[0-9a-f]{12}$/);
    }
  });

  test('D15 tokens, secrets and signatures are in no log, wherever a caller puts them', async () => {
    const secret = `drk_${'5ec7e7'.repeat(6)}`;
    const signature = 'c2lnbmF0dXJlLW9mLWEtZG93bmxvYWQ=';
    await ask(server, 'GET', '/v1/predictions', { token: secret });
    await ask(server, 'GET', `/v1/predictions?token=${secret}&signature=${signature}`, { token: shop });
    await ask(server, 'GET', `/v1/predictions/${secret}`, { token: shop });
    await ask(server, 'GET', `/v1/${secret}/x`, { token: shop });
    await ask(server, 'GET', `/v1/files/abc/download?owner=shop&expiry=1&signature=${signature}`);
    await ask(server, 'GET', '/v1/webhooks/default/secret', { token: shop });
    await ask(server, 'POST', '/v1/predictions', { token: shop, body: `{"version":"${secret}"` });
    await ask(server, 'POST', '/v1/predictions', { token: shop, body: `{"version":"${secret}","input":{}}` });
    await ask(server, 'POST', '/v1/predictions', {
      token: shop,
      body: JSON.stringify({ version: 'test/echo', input: { auth: secret } }),
    });
    for (const head of [
      requestHead(`GET /%zz?token=${secret}`),
      requestHead(`GET /${'a'.repeat(400)}?token=${secret}`, { authorization: `Bearer ${secret}` }),
      requestHead('GET /account', { host: secret.replace('_', '/') }),
      requestHead('GET /account', { authorization: `Basic ${secret}`, cookie: `token=${secret}` }),
      `GET /account HTTP/1.1\r\nhost: a\r\nauthorization Bearer ${secret}\r\n\r\n`,
    ]) {
      await exchange(server.port, head);
    }
    const log = server.log();
    expect(log).toContain('"request"');
    const account = (await server.accounts.accountByUsername('shop'))!.id;
    const secrets = [...(await server.accounts.webhookSecrets(account)), await server.accounts.filesSecret(account)];
    for (const hidden of [secret.slice(4), signature, shop, lab, testAdministrationKey, ...secrets]) {
      expect(log).not.toContain(hidden);
    }
  });
});

describe('a server without tokens', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ createsPerMinute: undefined, requestsPerMinute: undefined, corsOrigins: ['*'] });
  });
  afterAll(() => server?.close());

  test('D3 D24 D26 everybody on this machine is one account without limits, but no foreign page', async () => {
    const headers = { origin: 'https://evil.example', token: 'whatever', body: createBody };
    expect((await ask(server, 'POST', '/v1/predictions', headers)).status).toBe(403);
    const read = await ask(server, 'GET', '/v1/predictions', { origin: 'https://evil.example' });
    expect(read.headers.get('access-control-allow-origin')).toBeNull();
    const host = await exchange(server.port, requestHead('GET /v1/predictions', { host: 'rebound.example' }));
    expect(host).toMatch(/^HTTP\/1\.1 403 /);
    const { headers: reply, body } = await ask(server, 'GET', '/account');
    expect(body).toMatchObject({ username: 'local' });
    expect(reply.get('ratelimit-remaining')).toBeNull();
  });

  test('D22 the first token closes it, and finds what was there before', async () => {
    const { status, body: created } = await ask(server, 'POST', '/v1/predictions', { body: createBody });
    expect(status).toBe(201);
    const { token, info } = await server.accounts.createToken({ name: 'first', account: 'local' });
    expect((await ask(server, 'GET', `/v1/predictions/${created.id}`)).status).toBe(401);
    expect((await ask(server, 'GET', `/v1/predictions/${created.id}`, { token })).body.id).toBe(created.id);
    expect((await ask(server, 'GET', '/healthz')).status).toBe(200);
    await server.accounts.revokeToken(info.id);
    expect((await ask(server, 'GET', '/v1/predictions')).status).toBe(401);
  });
});

describe('limits', () => {
  let server: TestServer;
  beforeAll(async () => {
    // Two creates, and the next one half a minute later.
    server = await startTestServer({
      apiTokens: ['r8_one', 'r8_two'],
      createsPerMinute: 2,
      requestsPerMinute: undefined,
    });
  });
  afterAll(() => server?.close());

  const create = (token: string) => ask(server, 'POST', '/v1/predictions', { token, body: createBody });

  test('S33 replies count down, each account for itself; refusals take nothing', async () => {
    const first = await create('r8_one');
    expect(first.status).toBe(201);
    expect(first.headers.get('ratelimit-remaining')).toBe('1');
    expect(first.headers.get('ratelimit-reset')).toBe('30');
    expect((await create('r8_one')).headers.get('ratelimit-remaining')).toBe('0');
    for (let attempt = 0; attempt < 20; attempt++) {
      const { status, headers, body } = await create('r8_one');
      expect(status).toBe(429);
      expect(headers.get('content-type')).toMatch('application/problem+json');
      const seconds = Number(headers.get('retry-after'));
      expect(seconds).toBeGreaterThan(20);
      expect(seconds).toBeLessThanOrEqual(30);
      const detail = `Request was throttled. Your rate limit resets in ~${seconds}s.`;
      expect(body).toEqual({ detail, status: 429, retry_after: seconds });
    }
    expect((await create('r8_two')).status).toBe(201);
  });

  test('S33 the other limit is 3000, and creates do not count there', async () => {
    const { headers } = await ask(server, 'GET', '/v1/account', { token: 'r8_two' });
    expect(headers.get('ratelimit-remaining')).toBe('2999');
    expect(headers.get('ratelimit-reset')).toBe('1');
    await create('r8_two');
    expect((await ask(server, 'GET', '/v1/models', { token: 'r8_two' })).headers.get('ratelimit-remaining')).toMatch(
      /^299[89]$/,
    );
  });

  test('S33 D24 the client, which repeats at once, shows the detail and costs nothing', async () => {
    const before = (await clientOf(server, 'r8_one').predictions.list()).results.length;
    const create = clientOf(server, 'r8_one').predictions.create({ model: 'test/echo', input: {} });
    await expect(create).rejects.toThrow(/429 .*Request was throttled\. Your rate limit resets in ~\d+s\./);
    expect((await clientOf(server, 'r8_one').predictions.list()).results).toHaveLength(before);
  });
});

describe('web pages', () => {
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
    for (const origin of [
      'https://evil.example',
      'null',
      `${page}.evil.example`,
      'http://app.example',
      `${page}:8443`,
    ]) {
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
});
