/** What no client library shows: headers, odd requests, other callers. Numbers are those of docs/api.md. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange, requestHead } from '../support/http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const echoVersion = 'e'.repeat(64);
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_one', 'r8_two'] });
});
afterAll(() => server?.close());

interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into JSON of every shape
  body: any;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(server.origin + path, {
    method,
    headers: { authorization: 'Bearer r8_one', 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined };
}

/** Rows for `test.each`: a short label and the whole value. */
const labelled = (values: string[]): [string, string][] =>
  values.map((value) => [JSON.stringify(value.slice(0, 30)), value]);

const create = (input: object, headers: Record<string, string> = {}): Promise<Answer> =>
  call('POST', '/v1/predictions', { version: echoVersion, input }, headers);

describe('callers', () => {
  test('S1 both schemes pass, in any case', async () => {
    for (const authorization of ['Bearer r8_one', 'Token r8_one', 'token r8_two']) {
      expect((await call('GET', '/v1/models', undefined, { authorization })).status).toBe(200);
    }
  });

  test('S1 anything else is 401, before anything else is said', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer r8_three', 'Basic cjg6']) {
      for (const [method, path] of [
        ['GET', '/models'],
        ['GET', '/v1/predictions/abc'],
        ['POST', '/predictions'],
      ] as const) {
        const { status, headers, body } = await call(method, path, undefined, { authorization });
        expect(status).toBe(401);
        expect(headers.get('content-type')).toMatch('application/problem+json');
        expect(headers.get('www-authenticate')).toBe('Bearer');
        expect(body).toEqual({
          title: 'Unauthenticated',
          detail: 'You did not pass a valid authentication token',
          status: 401,
        });
      }
    }
  });

  test('S2 a foreign prediction is not there: not to read, not to cancel, not in the list', async () => {
    const { body: mine } = await create({ text: 'mine' });
    const stranger = { authorization: 'Bearer r8_two' };
    expect((await call('GET', `/predictions/${mine.id}`, undefined, stranger)).status).toBe(404);
    expect((await call('POST', `/predictions/${mine.id}/cancel`, undefined, stranger)).status).toBe(404);
    expect((await call('GET', '/predictions', undefined, stranger)).body.results).toEqual([]);
    expect((await call('GET', `/predictions/${mine.id}`)).status).toBe(200);
  });
});

describe('creating', () => {
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
    const start = performance.now();
    const { status, headers, body } = await create({ steps: 100, step_ms: 50 }, { prefer: 'wait=1' });
    const held = performance.now() - start;
    expect(status).toBe(201);
    expect(headers.get('preference-applied')).toBe('wait=1');
    expect(body).toMatchObject({ status: 'starting', output: null, started_at: null });
    expect(held).toBeGreaterThan(700);
    expect(held).toBeLessThan(1500);
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
    const input = { text: 'left alone', steps: 10, step_ms: 20 };
    const request = fetch(`${server.origin}/predictions`, {
      method: 'POST',
      headers: { authorization: 'Bearer r8_one', 'content-type': 'application/json', prefer: 'wait' },
      body: JSON.stringify({ version: echoVersion, input }),
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 100);
    await expect(request).rejects.toThrow();
    const { results } = (await call('GET', '/predictions')).body;
    const [{ id }] = results.filter(
      (prediction: { input: { text?: string } }) => prediction.input.text === 'left alone',
    );
    await expect
      .poll(async () => (await call('GET', `/predictions/${id}`)).body.status, { timeout: 20_000 })
      .toBe('succeeded');
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
});

describe('following', () => {
  test('S19 a queued prediction is canceled at once, and stays so; the call needs no body and tolerates any', async () => {
    const { body: running } = await create({ steps: 1000, step_ms: 20 });
    const { body: queued } = await create({ text: 'never' });
    const canceled = await call('POST', `/v1/predictions/${queued.id}/cancel`);
    expect(canceled.status).toBe(200);
    expect(canceled.body).toMatchObject({ status: 'canceled', started_at: null, output: null, error: null });
    expect((await call('POST', `/predictions/${queued.id}/cancel`, {})).body).toEqual(canceled.body);
    await call('POST', `/predictions/${running.id}/cancel`, '{"anything":1}');
    await expect
      .poll(async () => (await call('GET', `/predictions/${running.id}`)).body.status, { timeout: 20_000 })
      .toBe('canceled');
  });

  test.each(labelled(['abc', '%00', 'A'.repeat(26), '..%2f..%2fetc', '%27%3b--', 'a'.repeat(290)]))(
    'S30 the id %s is not found',
    async (_, id) => {
      const { status, body } = await call('GET', `/predictions/${id}`);
      expect(status).toBe(404);
      expect(body).toEqual({ detail: 'The requested resource could not be found.', status: 404 });
      expect((await call('POST', `/predictions/${id}/cancel`)).status).toBe(404);
    },
  );

  test('S30 an endless path is refused', async () => {
    const { status, body } = await call('GET', `/predictions/${'a'.repeat(5000)}`);
    expect(status).toBe(414);
    expect(body.status).toBe(414);
  });

  test('S20 filters stay in the links; moments are exact', async () => {
    const { body: first } = await create({ text: 'first' });
    const { body: second } = await create({ text: 'second' });
    const path = `/predictions?created_after=${encodeURIComponent(first.created_at)}&created_before=${second.created_at}`;
    const ids = (await call('GET', path)).body.results.map(({ id }: { id: string }) => id);
    expect(ids).toContain(first.id);
    expect(ids).not.toContain(second.id);
  });

  test.each([
    ['0000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59'],
    ['0001-01-01T00:00:00+23:59', '9999-12-31T23:59:59Z'],
  ])('S20 everything lies between %s and %s', async (early, late) => {
    await create({ text: 'between' });
    const found = async (after: string, before: string): Promise<number> => {
      const query = new URLSearchParams({ created_after: after, created_before: before });
      return (await call('GET', `/predictions?${query}`)).body.results.length;
    };
    expect(await found(early, late)).toBeGreaterThan(0);
    expect(await found(late, early)).toBe(0);
  });

  test.each([
    'created_after=yesterday',
    'created_after=2026-13-01',
    'created_before=%00',
    'created_before=99999-01-01',
    'source=mars',
    'cursor=nonsense',
    'cursor=%00',
    // The year 33658, which no database takes.
    `cursor=${Buffer.from(`older 999999999999999 ${'0'.repeat(26)}`).toString('base64url')}`,
    'created_after=1&created_after=2',
  ])('S20 ?%s is refused', async (query) => {
    const { status, body } = await call('GET', `/predictions?${query}`);
    expect(status).toBe(422);
    expect(body.status).toBe(422);
  });
});

describe('models', () => {
  test('S26 order', async () => {
    const list = async (query: string) => (await call('GET', `/models?${query}`)).body;
    const newest = (await list('')).results.map(({ created_at }: { created_at: string }) => created_at);
    expect(newest).toEqual(newest.toSorted().reverse());
    const oldest = (await list('sort_by=model_created_at&sort_direction=asc')).results;
    expect(oldest.map(({ created_at }: { created_at: string }) => created_at)).toEqual(newest.toReversed());
    expect((await list('sort_direction=up')).invalid_fields).toEqual([
      {
        type: 'enum',
        field: 'sort_direction',
        description: 'sort_direction must be one of the following: "asc", "desc"',
      },
    ]);
  });
});

describe('errors and odd requests', () => {
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

  test('models run elsewhere: the server has not loaded ONNX Runtime', () => {
    Object.assign(process.report, { excludeNetwork: true });
    const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
    expect(sharedObjects.length).toBeGreaterThan(0);
    expect(sharedObjects.filter((name) => name.includes('onnxruntime'))).toEqual([]);
  });

  test('D17 health needs no token', async () => {
    expect(await (await fetch(`${server.origin}/healthz`)).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(`${server.origin}/readyz`)).json()).toEqual({
      status: 'ready',
      queued: expect.any(Number),
    });
  });
});

test('D19 shutting down releases held replies at once', async () => {
  const held = create({ steps: 1000, step_ms: 50 }, { prefer: 'wait=30' });
  await expect.poll(async () => (await call('GET', '/predictions')).body.results[0].input.step_ms).toBe(50);
  const start = performance.now();
  const closed = server.close();
  expect((await held).body).toMatchObject({ status: 'starting', output: null });
  await closed;
  expect(performance.now() - start).toBeLessThan(10_000);
});
