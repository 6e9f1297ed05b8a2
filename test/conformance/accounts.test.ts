/** Who calls. Numbers are those of docs/api.md. */
import { createHmac } from 'node:crypto';
import { validateWebhook } from 'replicate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, clientOf } from '../support/ask.ts';
import { exchange, requestHead } from '../support/http.ts';
import { startTestServer, type TestServer, testAdministrationKey } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

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
    let guesses = 0;
    const guess = async () => {
      let answer = await from('192.0.2.7', 'drk_0');
      for (; answer.status === 401; guesses++) answer = await from('192.0.2.7', `drk_${guesses}`);
      return answer;
    };
    const refused = await guess();
    expect(guesses).toBeGreaterThanOrEqual(60);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    // One more is heard each second, a token too that was not there before.
    await waitUntil('a token that nobody knows is not heard', async () => {
      const { token: unheard } = await server.accounts.createToken({ name: 'new', account: 'shop' });
      await guess();
      return (await from('192.0.2.7', unheard)).status === 429;
    });
    // Known is what passed within the last seconds, since when no tokens have changed.
    await waitUntil('a known token is heard', async () => {
      expect((await from('192.0.2.8', shop)).status).toBe(200);
      return (await from('192.0.2.7', shop)).status === 200;
    });
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
