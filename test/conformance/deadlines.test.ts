/** Predictions that are given up at a moment. Numbers are those of docs/api.md. */
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PredictionJson } from '../../src/predictions/prediction-json.ts';
import { endless } from '../support/gate.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: TestServer;
let receiver: Receiver;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_one'], webhookPrivate: true });
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver?.close();
  await server?.close();
});

async function call<Body>(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
  const response = await fetch(server.origin + path, {
    method,
    headers: { authorization: 'Bearer r8_one', 'content-type': 'application/json', ...headers },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Body };
}

const create = (input: object, headers: Record<string, string>) => {
  const webhook = `${receiver.origin}/hook`;
  const body = { version: 'test/echo', input, webhook, webhook_events_filter: ['completed'] };
  return call<PredictionJson & { title: string; detail: string }>('POST', '/v1/predictions', body, headers);
};

const secondsBetween = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / 1000;

/** As GET, the list, the webhook and the stream tell it. */
async function tellings({ id, urls }: PredictionJson) {
  await waitUntil('the webhook arrives', () => receiver.received.some(({ body }) => body.includes(id)));
  const got = (await call<PredictionJson>('GET', `/v1/predictions/${id}`)).body;
  const listed = (await call<{ results: PredictionJson[] }>('GET', '/v1/predictions')).body.results;
  const told = receiver.received.map(({ body }) => JSON.parse(body) as PredictionJson);
  const stream = await (await fetch(urls.stream!)).text();
  return { got, listed: listed.find((one) => one.id === id), told: told.filter((one) => one.id === id), stream };
}

test('S90 S91 D4 what runs and what waits is given up at its deadline, in GET, list, webhook and stream alike', async () => {
  const runs = (await create({ steps: endless, step_ms: 10 }, { 'cancel-after': '2m' })).body;
  await waitUntil('it runs', async () => {
    const { body } = await call<PredictionJson>('GET', `/v1/predictions/${runs.id}`);
    return body.status === 'processing';
  });
  const waits = (await create({}, { 'cancel-after': '5' })).body;
  const knows = (await create({}, { 'cancel-after': '5s', 'x-report-aborted': 'true' })).body;
  expect(runs).toMatchObject({ status: 'starting', completed_at: null });
  expect(secondsBetween(runs.created_at, runs.deadline!)).toBe(120);
  expect(secondsBetween(waits.created_at, waits.deadline!)).toBe(5);
  await check(waits, 'canceled');
  await check(knows, 'aborted');
  // However late it started, it runs when its deadline comes.
  await sql`update predictions set deadline = clock_timestamp() where id = ${runs.id}`.execute(server.database.kysely);
  const { deadline } = (await call<PredictionJson>('GET', `/v1/predictions/${runs.id}`)).body;
  await check({ ...runs, deadline: deadline! }, 'canceled', 'started');
});

async function check(prediction: PredictionJson, status: string, started?: 'started'): Promise<void> {
  const { got, listed, told, stream } = await tellings(prediction);
  expect(got).toMatchObject({ status, error: null, output: null, deadline: prediction.deadline });
  expect(got.started_at !== null).toBe(started !== undefined);
  expect(secondsBetween(got.deadline!, got.completed_at!)).toBeGreaterThanOrEqual(0);
  expect(listed).toEqual(got);
  expect(told).toEqual([got]);
  expect(stream).toMatch(/event: done\nid: \S+\ndata: {"reason":"canceled"}/);
}

test('S90 who ends in time has a deadline and no more', async () => {
  const { body } = await create({ text: 'quick' }, { 'cancel-after': '1h30m', prefer: 'wait' });
  expect(body.status).toBe('succeeded');
  expect(secondsBetween(body.created_at, body.deadline!)).toBe(5400);
});

test('S91 a deadline that is none, or out of range', async () => {
  for (const header of ['3s', '4', '24h1s', '0']) {
    const { status, body } = await create({}, { 'cancel-after': header });
    expect(status).toBe(422);
    expect(body).toMatchObject({
      title: 'Invalid Cancel-After header',
      detail: 'Cancel-After must be between 5s and 24h.',
    });
  }
  for (const header of ['', 'soon', '1.5s', '-90', '10s, 20s']) {
    const { status, body } = await create({}, { 'cancel-after': header });
    expect([status, body.title]).toEqual([422, 'Invalid Cancel-After header']);
  }
});
