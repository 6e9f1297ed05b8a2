/** How often somebody may call. Numbers are those of docs/api.md. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, clientOf } from '../support/ask.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

const createBody = JSON.stringify({ version: 'test/echo', input: {} });

let server: TestServer;
beforeAll(async () => {
  // Two creates, and the next one half a minute later.
  server = await startTestServer({
    concurrency: 0,
    apiTokens: ['r8_one', 'r8_two'],
    createsPerMinute: 2,
    requestsPerMinute: undefined,
  });
});
afterAll(() => server?.close());

const create = (token: string) => ask(server, 'POST', '/v1/predictions', { token, body: createBody });

test('S33 replies count down, each account for itself; refusals take nothing', async () => {
  const begun = performance.now();
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
    expect(seconds).toBeGreaterThanOrEqual(30 - (performance.now() - begun) / 1000);
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
  await waitUntil('nothing is left', async () => (await create('r8_one')).status === 429);
  const before = (await clientOf(server, 'r8_one').predictions.list()).results.length;
  const refused = clientOf(server, 'r8_one').predictions.create({ model: 'test/echo', input: {} });
  await expect(refused).rejects.toThrow(/429 .*Request was throttled\. Your rate limit resets in ~\d+s\./);
  expect((await clientOf(server, 'r8_one').predictions.list()).results).toHaveLength(before);
});
