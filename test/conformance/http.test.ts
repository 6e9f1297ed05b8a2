/** What no client library shows: other callers, odd filters, health, the end of a server. Numbers are those of docs/api.md. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askingWith, labelled } from '../support/ask.ts';
import { endless } from '../support/gate.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_one', 'r8_two'] });
});
afterAll(() => server?.close());

const { call, create } = askingWith('r8_one', () => server);

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

describe('following', () => {
  test('S19 a queued prediction is canceled at once, and stays so; the call needs no body and tolerates any', async () => {
    const { body: running } = await create({ steps: endless, step_ms: 10 });
    const { body: queued } = await create({ text: 'never' });
    const canceled = await call('POST', `/v1/predictions/${queued.id}/cancel`);
    expect(canceled.status).toBe(200);
    expect(canceled.body).toMatchObject({ status: 'canceled', started_at: null, output: null, error: null });
    expect((await call('POST', `/predictions/${queued.id}/cancel`, {})).body).toEqual(canceled.body);
    await call('POST', `/predictions/${running.id}/cancel`, '{"anything":1}');
    const ended = await waitUntil('it ends', async () => {
      const { body } = await call('GET', `/predictions/${running.id}`);
      return body.completed_at && body;
    });
    expect(ended.status).toBe('canceled');
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
    // Moments are kept to the millisecond.
    const second = await waitUntil('a later one is made', async () => {
      const { body } = await create({ text: 'second' });
      return body.created_at > first.created_at && body;
    });
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

test('D17 health needs no token', async () => {
  expect(await (await fetch(`${server.origin}/healthz`)).json()).toEqual({ status: 'ok' });
  expect(await (await fetch(`${server.origin}/readyz`)).json()).toEqual({
    status: 'ready',
    queued: expect.any(Number),
  });
});

test('D19 shutting down releases held replies at once', async () => {
  const held = create({ text: 'held', steps: endless, step_ms: 10 }, { prefer: 'wait=60' });
  await waitUntil('it is made', async () => (await call('GET', '/predictions')).body.results[0].input.text === 'held');
  const closed = server.close();
  expect((await held).body).toMatchObject({ status: 'starting', output: null });
  await closed;
});
