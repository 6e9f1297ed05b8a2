/** Creates that arrive more than once. Numbers are those of docs/api.md. */

import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import Replicate from 'replicate';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type CuttingProxy, startCuttingProxy } from '../support/cutting-proxy.ts';
import { makeGate } from '../support/gate.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: TestServer;
const closing: (CuttingProxy | Receiver)[] = [];
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_one', 'r8_two'], webhookPrivate: true });
});
afterEach(async () => {
  for (const one of closing.splice(0)) await one.close();
});
afterAll(() => server?.close());

async function create(input: object, headers: Record<string, string> = {}, path = '/v1/models/test/echo/predictions') {
  const response = await fetch(server.origin + path, {
    method: 'POST',
    headers: { authorization: 'Bearer r8_one', 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ input }),
  });
  const body = (await response.json()) as { id: string; title: string; detail: string; deadline?: string };
  return { status: response.status, body };
}

/** Ids of all predictions with this text. */
async function madeWith(text: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from predictions where input ->> 'text' = ${text}`.execute(server.database.kysely);
  return rows.map(({ id }) => id);
}

async function clientOver(cuts: number[]) {
  const proxy = await startCuttingProxy(server.port, cuts);
  closing.push(proxy);
  return { proxy, replicate: new Replicate({ auth: 'r8_one', baseUrl: `${proxy.origin}/v1` }) };
}

describe('the client sends a create again by itself', () => {
  test.each([
    ['once', [0]],
    ['again and again', [0, 0, 0]],
    ['a little later', [1, 1]],
  ])('D91 its connection breaks %s: one prediction', async (name, cuts) => {
    const text = `cut ${name}`;
    const { proxy, replicate } = await clientOver(cuts);
    // The answer must not be there before the break.
    let isLocked = false;
    const busy = server.database.kysely.transaction().execute(async (transaction) => {
      await sql`lock table predictions in access exclusive mode`.execute(transaction);
      isLocked = true;
      await waitUntil('the connections are broken', () => proxy.cut() === cuts.length);
      // Then the server hears of it, in an event loop that it shares with this test.
      await pause(50);
      await sql`select 1`.execute(transaction);
    });
    await waitUntil('nothing can be created', () => isLocked);
    const prediction = await replicate.predictions.create({ model: 'test/echo', input: { text } });
    await busy;
    expect(proxy.cut()).toBe(cuts.length);
    expect(await madeWith(text)).toEqual([prediction.id]);
  });

  test('D91 S9 its connection breaks while it waits for the end: one prediction', async () => {
    const { proxy, replicate } = await clientOver([300, 300]);
    const text = 'cut while held';
    const gate = makeGate(server);
    const made = replicate.predictions.create({ model: 'test/echo', input: { text, ...gate.running }, wait: true });
    await waitUntil('the connections are broken', () => proxy.cut() === 2);
    gate.open();
    const prediction = await made;
    expect(prediction.status).toBe('succeeded');
    expect(proxy.cut()).toBe(2);
    expect(await madeWith(text)).toEqual([prediction.id]);
  });

  test('D91 a webhook is told once', async () => {
    const receiver = await startReceiver();
    closing.push(receiver);
    const { proxy, replicate } = await clientOver([300]);
    const webhook = `${receiver.origin}/hook`;
    const gate = makeGate(server);
    const input = { text: 'cut with webhook', ...gate.running };
    const events = { webhook, webhook_events_filter: ['completed' as const] };
    const made = replicate.predictions.create({ model: 'test/echo', input, wait: true, ...events });
    await waitUntil('the connection is broken', () => proxy.cut() === 1);
    gate.open();
    await made;
    await waitUntil('it arrives', () => receiver.received.length > 0);
    expect(await madeWith(input.text)).toHaveLength(1);
    expect(receiver.received).toHaveLength(1);
  });

  test('D91 what is no resend makes its own prediction', async () => {
    const text = 'twice on purpose';
    await Promise.all([create({ text }), create({ text }), create({ text })]);
    await create({ text });
    expect(await madeWith(text)).toHaveLength(4);
    const other = 'broken, then asked by another or otherwise';
    const cut = new AbortController();
    const gate = makeGate(server);
    const asked = { text: other, ...gate.running };
    const broken = create({ ...asked, num_outputs: 2 }, { prefer: 'wait' }).catch(() => {});
    const gone = fetch(`${server.origin}/v1/models/test/echo/predictions`, {
      method: 'POST',
      headers: { authorization: 'Bearer r8_one', 'content-type': 'application/json', prefer: 'wait' },
      body: JSON.stringify({ input: asked }),
      signal: cut.signal,
    }).catch(() => {});
    await waitUntil('both are made', async () => (await madeWith(other)).length === 2);
    cut.abort();
    await gone;
    await create(asked, { authorization: 'Bearer r8_two' });
    await create(asked, { 'cancel-after': '90' });
    await create({ ...asked, steps: 52 });
    expect(await madeWith(other)).toHaveLength(5);
    gate.open();
    await broken;
  });
});

describe('Idempotency-Key', () => {
  test('D90 the same request under the same key is one prediction', async () => {
    const made = await Promise.all(
      Array.from({ length: 8 }, () => create({ text: 'keyed' }, { 'idempotency-key': 'a-1' })),
    );
    expect(made.map(({ status }) => status)).toEqual(Array(8).fill(201));
    expect(new Set(made.map(({ body }) => body.id)).size).toBe(1);
    const held = await create({ text: 'keyed' }, { 'idempotency-key': 'a-1', prefer: 'wait' });
    expect(held.body).toMatchObject({ id: made[0]!.body.id, status: 'succeeded' });
    expect(await madeWith('keyed')).toHaveLength(1);
  });

  test('D90 each account has its own keys, and another request is refused', async () => {
    const first = await create({ text: 'mine' }, { 'idempotency-key': 'a-2' });
    const stranger = { 'idempotency-key': 'a-2', authorization: 'Bearer r8_two' };
    expect((await create({ text: 'mine' }, stranger)).body.id).not.toBe(first.body.id);
    for (const [input, path, headers] of [
      [{ text: 'other' }, '/v1/models/test/echo/predictions', {}],
      [{}, '/v1/models/test/single/predictions', {}],
      [{ text: 'mine' }, '/v1/models/test/echo/predictions', { 'cancel-after': '1h' }],
    ] as const) {
      const { status, body } = await create(input, { 'idempotency-key': 'a-2', ...headers }, path);
      expect(status).toBe(422);
      expect(body.detail).toMatch(/Idempotency-Key "a-2" was used for another request/);
    }
    expect((await create({ text: 'mine' }, { 'idempotency-key': 'a-2' })).body.id).toBe(first.body.id);
  });

  test('D90 another key is another prediction, also after a connection that broke', async () => {
    const gate = makeGate(server);
    const input = { text: 'keyed and cut', ...gate.running };
    const cut = new AbortController();
    const gone = fetch(`${server.origin}/v1/models/test/echo/predictions`, {
      method: 'POST',
      headers: {
        ...{ authorization: 'Bearer r8_one', 'content-type': 'application/json' },
        ...{ prefer: 'wait', 'idempotency-key': 'a-4' },
      },
      body: JSON.stringify({ input }),
      signal: cut.signal,
    }).catch(() => {});
    await waitUntil('it is made', async () => (await madeWith(input.text)).length === 1);
    cut.abort();
    await gone;
    const other = await create(input, { 'idempotency-key': 'a-5' });
    expect(await madeWith(input.text)).toHaveLength(2);
    gate.open();
    expect((await create(input, { 'idempotency-key': 'a-5' })).body.id).toBe(other.body.id);
  });

  test('D90 a key that is none', async () => {
    for (const key of ['', 'with space', 'ä', 'x'.repeat(256)]) {
      const { status, body } = await create({}, { 'idempotency-key': key });
      expect([status, body.title]).toEqual([422, 'Invalid Idempotency-Key header']);
    }
  });

  test('D90 files that come with it are kept once', async () => {
    const image = `data:text/plain;base64,${Buffer.from('a file').toString('base64')}`;
    const stored = async () =>
      server.database.kysely.selectFrom('files').select('key').where('purpose', '=', 'input').execute();
    const before = (await stored()).length;
    await Promise.all(Array.from({ length: 3 }, () => create({ image, num_outputs: 0 }, { 'idempotency-key': 'a-3' })));
    expect((await stored()).length).toBe(before + 1);
  });
});

test('S15 the data-uri strategy sends its own token: nothing keeps it', async () => {
  const receiver = await startReceiver();
  closing.push(receiver);
  const auth = 'r8_one';
  const careless = new Replicate({ auth, baseUrl: server.origin, fileEncodingStrategy: 'data-uri' });
  const bodies: string[] = [];
  careless.fetch = async (url, init) => {
    bodies.push(String(init?.body ?? ''));
    return fetch(url, init);
  };
  const prediction = await careless.predictions.create({
    model: 'test/echo',
    input: { text: 'careless' },
    wait: true,
    webhook: `${receiver.origin}/hook`,
  });
  await waitUntil('the webhook arrives', () => receiver.received.length > 0);
  // The client did send it.
  expect(bodies.join()).toContain(auth);
  const { kysely } = server.database;
  const { rows: tables } = await sql<{ name: string }>`
    select quote_ident(table_schema) || '.' || quote_ident(table_name) as name from information_schema.tables
    where table_schema in ('public', 'darkroom_queue')`.execute(kysely);
  expect(tables.map(({ name }) => name)).toContain('public.predictions');
  for (const { name } of tables) {
    const { rows } = await sql`select * from ${sql.raw(name)}`.execute(kysely);
    expect(JSON.stringify(rows), name).not.toContain(auth);
  }
  expect(server.log()).not.toContain(auth);
  for (const { headers, body } of receiver.received) expect(JSON.stringify([headers, body])).not.toContain(auth);
  expect(JSON.stringify(prediction)).not.toContain(auth);
});
