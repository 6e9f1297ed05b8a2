/** Creates, byte by byte: versions, replies, held ones, what is dropped. Numbers are those of docs/api.md. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askingWith, echoVersion, labelled } from '../support/ask.ts';
import { endless, makeGate } from '../support/gate.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_one', 'r8_two'] });
});
afterAll(() => server?.close());

const { call, create } = askingWith('r8_one', () => server);
const statusOf = async (id: string): Promise<string> => (await call('GET', `/predictions/${id}`)).body.status;

test('S3 the three forms of a version', async () => {
  for (const version of [echoVersion, `test/echo:${echoVersion}`, 'test/echo']) {
    const { status, body } = await call('POST', '/predictions', { version, input: {} });
    expect(status).toBe(201);
    expect(body).toMatchObject({ model: 'test/echo', version: echoVersion });
  }
});

test.each(
  labelled([
    'f'.repeat(64),
    'E'.repeat(64),
    'echo',
    '',
    'test/nothing',
    `test/single:${'e'.repeat(64)}`,
    'test/echo:',
    'test/echo:latest',
    'constructor',
    '__proto__',
    '../../etc/passwd',
    'a'.repeat(100_000),
  ]),
)('S5 D16 the version %s is not known', async (_, version) => {
  const { status, headers, body } = await call('POST', '/predictions', { version, input: {} });
  expect(status).toBe(422);
  expect(body).toEqual({
    title: 'Invalid version or not permitted',
    detail: "The specified version does not exist (or perhaps you don't have permission to use it?)",
    status: 422,
  });
  expect(headers.get('x-should-retry')).toBe('false');
});

test('S5 an unknown model in the path', async () => {
  for (const path of [
    '/models/test/nothing/predictions',
    '/models/%2e%2e/echo/predictions',
    '/models/test/__proto__/predictions',
  ]) {
    const { status, body } = await call('POST', path, { input: {} });
    expect(status).toBe(404);
    expect(body).toEqual({ detail: 'The requested resource could not be found.', status: 404 });
  }
});

test('S6 S7 A4 the reply to a create', async () => {
  const { status, headers, body } = await create({ text: 'x' });
  expect(status).toBe(201);
  expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
  const self = `${server.origin}/v1/predictions/${body.id}`;
  expect(headers.get('location')).toBe(self);
  expect(headers.get('preference-applied')).toBeNull();
  expect(body).toEqual({
    id: expect.stringMatching(/^[0-9a-z]{26}$/),
    model: 'test/echo',
    version: echoVersion,
    input: { text: 'x' },
    logs: '',
    output: null,
    data_removed: false,
    error: null,
    source: 'api',
    status: 'starting',
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    started_at: null,
    completed_at: null,
    metrics: {},
    urls: {
      cancel: `${self}/cancel`,
      get: self,
      stream: expect.stringMatching(new RegExp(`^${server.origin}/v1/files/stream-${body.id}-[0-9a-f]{32}$`)),
    },
  });
});

test('S7 S23 after the end', async () => {
  const { body } = await create({ text: 'x' }, { prefer: 'wait' });
  expect(body).toMatchObject({ status: 'succeeded', error: null, logs: expect.stringContaining('steps 2\n') });
  expect(body.metrics.predict_time).toBeLessThanOrEqual(body.metrics.total_time);
  const moments = [body.created_at, body.started_at, body.completed_at];
  expect(moments).toEqual(moments.toSorted());
  for (const moment of moments) expect(moment).toMatch(/\.\d{3}Z$/);
});

test('S8 S14 input comes back as sent', async () => {
  const sent =
    '{"version":"test/echo","input":{"text":"é😀 \\u2028","steps":null,"num_outputs":1,"image":null,"step_ms":1.0}}';
  const { body } = await call('POST', '/predictions', sent);
  expect(JSON.stringify(body.input)).toBe(
    '{"text":"é😀 \u2028","steps":null,"num_outputs":1,"image":null,"step_ms":1}',
  );
  const again = await call('GET', `/predictions/${body.id}`);
  expect(JSON.stringify(again.body.input)).toBe(JSON.stringify(body.input));
});

test('S9 D5 the hold is released before its time and reports starting; the next request tells the truth', async () => {
  const input = { steps: endless, step_ms: 10 };
  const key = { 'idempotency-key': 'held' };
  const { id } = (await create(input, key)).body;
  await waitUntil('it runs', async () => (await statusOf(id)) === 'processing');
  const start = performance.now();
  const { status, headers, body } = await create(input, { ...key, prefer: 'wait=1' });
  const held = performance.now() - start;
  expect(status).toBe(201);
  expect(headers.get('preference-applied')).toBe('wait=1');
  expect(body).toMatchObject({ id, status: 'starting', output: null, started_at: null });
  expect(held).toBeGreaterThan(700);
  expect((await call('GET', `/predictions/${body.id}`)).body).toMatchObject({ status: 'processing', output: null });
  await call('POST', `/predictions/${body.id}/cancel`);
});

test('D5 odd preferences', async () => {
  const applied = async (prefer: string) => (await create({}, { prefer })).headers.get('preference-applied');
  expect(await applied('respond-async, wait=0.5')).toBe('wait=1');
  expect(await applied('wait=600')).toBe('wait=60');
  for (const prefer of ['wait=0', 'wait=-1', 'respond-async', 'tea']) expect(await applied(prefer)).toBeNull();
});

test('S9 a caller who hangs up changes nothing', async () => {
  const controller = new AbortController();
  const gate = makeGate(server);
  const input = { text: 'left alone', ...gate.running };
  const request = fetch(`${server.origin}/predictions`, {
    method: 'POST',
    headers: { authorization: 'Bearer r8_one', 'content-type': 'application/json', prefer: 'wait' },
    body: JSON.stringify({ version: echoVersion, input }),
    signal: controller.signal,
  });
  const hungUp = expect(request).rejects.toThrow();
  const { id } = await waitUntil('it is made', async () => {
    const { results } = (await call('GET', '/predictions')).body;
    return results.find((prediction: { input: { text?: string } }) => prediction.input.text === 'left alone');
  });
  controller.abort();
  await hungUp;
  await waitUntil('it runs', async () => (await statusOf(id)) === 'processing');
  gate.open();
  await waitUntil('it ends', async () => (await statusOf(id)) !== 'processing');
  expect(await statusOf(id)).toBe('succeeded');
});

test('D8 S15 dropped keys are named and kept nowhere', async () => {
  const input = { text: 'x', auth: 'r8_leak', 'naïve key\r\nx: y': 1, '\ud800': 1, steps: 1 };
  const { status, headers, body } = await create(input, { prefer: 'wait' });
  expect(status).toBe(201);
  expect(headers.get('x-ignored-inputs')).toBe('auth, na%C3%AFve%20key%0D%0Ax%3A%20y, %3F');
  expect(body.input).toEqual({ text: 'x', steps: 1 });
  expect(server.log()).not.toContain('r8_leak');
});

test('D8 many dropped keys make no endless header', async () => {
  const input = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key${index}`, index]));
  const { status, headers } = await create(input);
  expect(status).toBe(201);
  expect(headers.get('x-ignored-inputs')!.length).toBeLessThan(1100);
});

test('S13 types are strict, but 5.0 is an integer', async () => {
  const given = async (steps: string) => {
    const { status, body } = await call('POST', '/predictions', `{"version":"test/echo","input":{"steps":${steps}}}`);
    return body.invalid_fields?.[0].description ?? status;
  };
  expect(await given('5.0')).toBe(201);
  expect(await given('"5"')).toBe('Invalid type. Expected: integer, given: string');
  expect(await given('5.5')).toBe('Invalid type. Expected: integer, given: number');
  expect(await given('true')).toBe('Invalid type. Expected: integer, given: boolean');
});

test('A3 D60 harmless members are accepted', async () => {
  for (const extra of [
    { stream: true },
    { webhook_completed: null },
    { webhook: null },
    { webhook_events_filter: ['start', 'completed'] },
    { webhook_events_filter: 'completed' },
    { webhook_events_filter: 'output, logs' },
  ]) {
    const { status, body } = await call('POST', '/predictions', { version: echoVersion, input: {}, ...extra });
    expect(status).toBe(201);
    expect(body.urls.stream).toMatch(body.id);
  }
});
