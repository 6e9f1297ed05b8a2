/** What a create may say about its webhook. Numbers are those of docs/api.md. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/ask.ts';
import { startReceiver } from '../support/receiver.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

const token = 'r8_hooks';
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: [token], webhookPrivate: true });
});
afterAll(() => server?.close());

const create = (extra: object, to = server) =>
  ask(to, 'POST', '/v1/models/test/echo/predictions', { token, body: { input: {}, ...extra } });

test.each([
  ['completed', ['completed']],
  ['output, logs', ['output', 'logs']],
  ['start,,start', ['start']],
  [
    ['logs', 'logs', 'start'],
    ['logs', 'start'],
  ],
  ['', undefined],
  [[], undefined],
])('D60 the filter %j is %j', async (filter, echoed) => {
  const { status, body } = await create({ webhook_events_filter: filter });
  expect([status, body.webhook_events_filter]).toEqual([201, echoed]);
  expect(body).not.toHaveProperty('webhook');
});

test.each([
  ['ftp://x.example/', 'Does not match format'],
  ['/relative', 'Does not match format'],
  ['data:,x', 'is not an http or https URL'],
  ['https://user:secret@x.example/', 'user name or a password'],
  ['https://x.example/\u0000', 'spaces or control characters'],
  ['https://x.example/\ud800', 'spaces or control characters'],
])('D62 the webhook %j is refused', async (webhook, reason) => {
  const { status, body } = await create({ webhook });
  expect([status, body.invalid_fields]).toEqual([
    422,
    [{ type: 'format', field: 'webhook', description: expect.stringContaining(reason) }],
  ]);
});

test('D62 private addresses and http only where this machine alone can ask, or the operator says so', async () => {
  const closed = await startTestServer({ apiTokens: ['r8_hooks'] });
  onTestFinished(closed.close);
  const receiver = await startReceiver();
  onTestFinished(receiver.close);
  const given = async (to: TestServer, webhook: string) => {
    const { status, body } = await create({ webhook }, to);
    return { id: body.id as string, status, reason: body.invalid_fields?.[0].description as string | undefined };
  };
  expect(await given(closed, receiver.origin)).toMatchObject({
    status: 422,
    reason: expect.stringContaining('use https'),
  });
  expect(await given(closed, 'https://10.0.0.1/')).toMatchObject({
    status: 422,
    reason: expect.stringContaining('DARKROOM_WEBHOOK_PRIVATE=1'),
  });
  // A name is looked up when it is called, and refused then.
  const named = await given(closed, 'https://localhost:1/');
  expect(named.status).toBe(201);
  const attempt = await waitUntil('the name is refused', async () => {
    const { body } = await ask(closed, 'GET', `/v1/predictions/${named.id}/deliveries`, { token });
    return body.results[0]?.attempts[0];
  });
  expect(attempt).toMatchObject({ status: null, error: expect.stringContaining('private or reserved') });

  const open = await startTestServer();
  onTestFinished(open.close);
  expect((await given(open, receiver.origin)).status).toBe(201);
  await waitUntil('it arrives', () => receiver.received.length === 1);
});
