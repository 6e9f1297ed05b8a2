/** Webhooks as a receiver meets them, checked with the unmodified JavaScript client. Numbers are those of docs/api.md. */
import type { ServerResponse } from 'node:http';
import { sql } from 'kysely';
import Replicate, { validateWebhook } from 'replicate';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { PredictionJson } from '../../src/predictions/prediction-json.ts';
import type { DeliveryJson } from '../../src/server/wire-delivery.ts';
import { endless, makeGate } from '../support/gate.ts';
import { type Received, type Receiver, startReceiver } from '../support/receiver.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

const giveUpMs = 3_600_000;
let server: TestServer;
let replicate: Replicate;
const receivers: Receiver[] = [];
beforeAll(async () => {
  const settings = { apiTokens: ['r8_hooks', 'r8_other'], webhookPrivate: true, webhookGiveUpMs: giveUpMs };
  server = await startTestServer(settings);
  replicate = new Replicate({ auth: 'r8_hooks', baseUrl: `${server.origin}/v1` });
});
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.close();
});
afterAll(() => server?.close());

async function receive(
  answer?: (received: Received, response: ServerResponse, place: number) => void,
): Promise<Receiver> {
  const receiver = await startReceiver(answer);
  receivers.push(receiver);
  return receiver;
}

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into JSON of every shape
  body: any;
  text: string;
}

async function call(method: string, path: string, body?: object, { token = 'r8_hooks' } = {}): Promise<Answer> {
  const response = await fetch(`${server.origin}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: JSON.parse(text), text };
}

const create = (webhook: string, input: object, extra: object = {}) =>
  call('POST', '/models/test/echo/predictions', { input, webhook, ...extra });

async function deliveries(id: string): Promise<DeliveryJson[]> {
  return (await call('GET', `/predictions/${id}/deliveries`)).body.results;
}

/** As a receiver checks it with the client. */
function isValid({ headers, body }: Received, key: string): Promise<boolean> {
  const request = new Request('http://receiver', { method: 'POST', headers: headers as Record<string, string>, body });
  return validateWebhook(request, key);
}

const settled = (id: string) =>
  waitUntil('the delivery is settled', async () => {
    const [delivery] = await deliveries(id);
    return delivery && delivery.status !== 'waiting' && delivery;
  });

test('S60 S63 the client sends a webhook, and validates what comes', async () => {
  const receiver = await receive();
  const prediction = await replicate.predictions.create({
    model: 'test/echo',
    input: { text: 'ä "quoted" / \\ \u2028', num_outputs: 2 },
    webhook: `${receiver.origin}/hook?job=7&x=%20y`,
    webhook_events_filter: ['completed'],
  });
  expect(prediction).toMatchObject({
    webhook: `${receiver.origin}/hook?job=7&x=%20y`,
    webhook_events_filter: ['completed'],
  });
  await waitUntil('it arrives', () => receiver.received.length === 1);
  const { path, body, headers } = receiver.received[0]!;
  expect(path).toBe('/hook?job=7&x=%20y');
  expect(headers['content-type']).toBe('application/json');
  expect(headers.authorization).toBeUndefined();
  expect(headers['user-agent']).toBe('darkroom');

  // To the byte what GET answers.
  expect(body).toBe((await call('GET', `/predictions/${prediction.id}`)).text);
  expect(JSON.stringify(JSON.parse(body))).toBe(body);
  expect(JSON.parse(body)).toMatchObject({
    status: 'succeeded',
    error: null,
    output: [expect.any(String), expect.any(String)],
  });

  const { key } = await replicate.webhooks.default.secret.get();
  expect(await isValid(receiver.received[0]!, key)).toBe(true);
  // Frameworks hand out the body parsed.
  const [id, timestamp, signature] = ['id', 'timestamp', 'signature'].map((name) => String(headers[`webhook-${name}`]));
  const parts = { id: id!, timestamp: timestamp!, signature: signature!, secret: key };
  expect(await validateWebhook({ ...parts, body: JSON.parse(body) })).toBe(true);
  expect(await validateWebhook({ ...parts, body })).toBe(true);
  expect(await isValid({ ...receiver.received[0]!, body: body.replace('succeeded', 'failed') }, key)).toBe(false);
  expect(Math.abs(Number(timestamp) - Date.now() / 1000)).toBeLessThan(60);
});

test('S63 D25 for a day after a rotation both secrets validate', async () => {
  const before = (await call('GET', '/webhooks/default/secret')).body.key;
  const after = (await call('POST', '/webhooks/default/secret/rotate')).body.key;
  const receiver = await receive();
  await create(receiver.origin, {});
  await waitUntil('it arrives', () => receiver.received.length === 1);
  for (const key of [before, after]) expect(await isValid(receiver.received[0]!, key)).toBe(true);
  expect(receiver.received[0]!.headers['webhook-signature']).toMatch(/^v1,\S{44} v1,\S{44}$/);
});

test('S60 S61 all events, throttled, in order, each as the prediction stood', async () => {
  const receiver = await receive();
  const gate = makeGate(server);
  const { body } = await create(receiver.origin, gate.running, {
    webhook_events_filter: ['start', 'output', 'logs', 'completed'],
  });
  await waitUntil('two come between start and end', () => receiver.received.length >= 3);
  gate.open();
  await settled(body.id);
  const heard = receiver.received.map((received) => JSON.parse(received.body) as PredictionJson);
  expect(heard[0]).toMatchObject({ id: body.id, status: 'processing', output: null, completed_at: null });
  expect(heard.at(-1)!.status).toBe('succeeded');
  expect(heard.slice(0, -1).every(({ status }) => status === 'processing')).toBe(true);
  const throttled = heard.length - 2;
  expect(throttled).toBeGreaterThanOrEqual(2);
  // Twice a second, and not with every step.
  expect(throttled).toBeLessThanOrEqual(2 * heard.at(-1)!.metrics.predict_time! + 2);
  const lengths = heard.map(({ logs }) => logs.length);
  expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
});

test('S60 without a filter new output and the end, with `start` alone nothing else', async () => {
  const [usual, starts] = [await receive(), await receive()];
  const first = await create(usual.origin, { steps: 20, step_ms: 20 });
  const second = await create(starts.origin, { steps: 1 }, { webhook_events_filter: ['start'] });
  expect(first.body).not.toHaveProperty('webhook_events_filter');
  await settled(first.body.id);
  await waitUntil(
    'the second ends',
    async () => (await call('GET', `/predictions/${second.body.id}`)).body.completed_at,
  );
  await waitUntil('its start is told', () => starts.received.length > 0);
  expect(usual.received.map(({ body }) => JSON.parse(body).status)).toEqual(['succeeded']);
  expect(starts.received.map(({ body }) => JSON.parse(body).status)).toEqual(['processing']);
  expect(await deliveries(second.body.id)).toEqual([]);
});

test('S60 a failure and a cancel are ends too', async () => {
  const receiver = await receive();
  const failed = await call('POST', '/models/test/troubled/predictions', {
    input: { trouble: 'throw' },
    webhook: `${receiver.origin}/failed`,
  });
  const long = await create(`${receiver.origin}/running`, { steps: endless, step_ms: 10 });
  const queued = await create(`${receiver.origin}/queued`, {});
  await call('POST', `/predictions/${queued.body.id}/cancel`);
  await call('POST', `/predictions/${long.body.id}/cancel`);
  for (const { body } of [failed, long, queued]) await settled(body.id);
  const heard = Object.fromEntries(receiver.received.map(({ path, body }) => [path, JSON.parse(body)]));
  expect(heard['/failed']).toMatchObject({ status: 'failed', error: 'the model broke' });
  expect(heard['/running']).toMatchObject({ status: 'canceled' });
  expect(heard['/queued']).toMatchObject({ status: 'canceled', started_at: null });
});

test('S62 D63 redirects and errors are failures; the end is repeated under its id with the same bytes', async () => {
  const other = await receive();
  const receiver = await receive((_received, response, place) => {
    if (place === 0) response.writeHead(307, { location: other.origin }).end();
    else response.writeHead(place === 1 ? 503 : 200).end();
  });
  const { body } = await create(receiver.origin, {}, { webhook_events_filter: 'completed' });
  const delivery = await settled(body.id);
  expect(delivery).toMatchObject({ status: 'delivered', next_attempt_at: null, delivered_at: expect.any(String) });
  expect(delivery.attempts.map(({ status }) => status)).toEqual([307, 503, 200]);
  expect(delivery.attempts.map(({ error }) => error)).toEqual([
    expect.stringContaining('redirects are not followed'),
    'answered 503',
    null,
  ]);
  expect(other.received).toEqual([]);
  expect(new Set(receiver.received.map((received) => received.body)).size).toBe(1);
  expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([delivery.id]));
  const { key } = await replicate.webhooks.default.secret.get();
  for (const received of receiver.received) expect(await isValid(received, key)).toBe(true);
});

test('S62 D61 D63 what is given up can be repeated', async () => {
  let well = false;
  const receiver = await receive((_received, response) => {
    response.writeHead(well ? 200 : 500).end();
  });
  const { body } = await create(receiver.origin, {});
  const tried = await waitUntil('it is tried twice', async () => {
    const [delivery] = await deliveries(body.id);
    return delivery?.attempts[1] && delivery;
  });
  const { kysely } = server.database;
  const ofThis = kysely.selectFrom('deliveries').where('id', '=', tried.id);
  const { give_up_at: giveUpAt } = await ofThis.select('give_up_at').executeTakeFirstOrThrow();
  const triedForMs = giveUpAt!.getTime() - Date.parse(tried.attempts[0]!.started_at);
  expect(Math.abs(triedForMs - giveUpMs)).toBeLessThan(60_000);
  // As if that time were over.
  await sql`update deliveries set give_up_at = clock_timestamp(), next_attempt_at = clock_timestamp()
    where id = ${tried.id}`.execute(kysely);
  const failed = await settled(body.id);
  expect(failed.status).toBe('failed');
  expect(failed.attempts.length).toBeGreaterThan(2);
  well = true;
  const repeat = (id: string, token?: string) =>
    call('POST', `/predictions/${body.id}/deliveries/${id}/repeat`, undefined, token ? { token } : {});
  expect((await repeat(failed.id, 'r8_other')).status).toBe(404);
  expect((await repeat('msg_00')).status).toBe(404);
  const repeated = await repeat(failed.id);
  expect([repeated.status, repeated.body.id, repeated.body.status]).toEqual([202, failed.id, 'waiting']);
  expect((await settled(body.id)).status).toBe('delivered');
  expect((await call('GET', `/predictions/${body.id}/deliveries`, undefined, { token: 'r8_other' })).status).toBe(404);
  expect((await call('GET', '/predictions/nothing/deliveries')).status).toBe(404);
});

test('S62 a receiver that hangs delays no other', async () => {
  const open = new Set<ServerResponse>();
  const hanging = await receive((_received, response) => {
    open.add(response);
    response.on('close', () => open.delete(response));
  });
  const well = await receive();
  // They hang for ten seconds, in which a busy machine may not get to the other.
  await waitUntil('another is told while they hang', async () => {
    for (let index = 0; index < 6; index++)
      await create(hanging.origin, {}, { webhook_events_filter: ['start', 'logs', 'completed'] });
    await waitUntil('several hang', () => open.size >= 4);
    const [hung, before] = [[...open], well.received.length];
    await create(well.origin, {});
    await waitUntil('it arrives', () => well.received.length > before);
    return hung.some((response) => open.has(response));
  });
});

test('D64 with the data what was delivered goes, and cannot be repeated', async () => {
  const receiver = await receive();
  const { body } = await create(receiver.origin, { text: 'secret text' });
  const { id } = await settled(body.id);
  await server.removeData();
  expect((await deliveries(body.id))[0]!.status).toBe('delivered');
  const { status, body: problem } = await call('POST', `/predictions/${body.id}/deliveries/${id}/repeat`);
  expect([status, problem.detail]).toEqual([410, expect.stringContaining('removed')]);
});

test('D15 no query of a webhook and no secret stands in the log', async () => {
  const receiver = await receive((_received, response) => {
    response.writeHead(500).end();
  });
  const { body } = await create(
    `${receiver.origin}/?token=hush-hush`,
    {},
    { webhook_events_filter: ['start', 'completed'] },
  );
  const failed = new RegExp(`"delivery".*"prediction":"${body.id}".*a webhook was not received`);
  await waitUntil('its end was not received', () => failed.test(server.log()));
  expect(server.log()).not.toContain('hush-hush');
  expect(server.log()).not.toContain('whsec_');
});
