import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseKinds, makePlace, type TestPlace } from '../../test/support/databases.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { InputError } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import { openDatabase } from '../database/connect.ts';
import type { Database } from '../database/database.ts';
import { advance } from './advance.ts';
import type { NewPrediction } from './predictions.ts';
import { createPredictions, type PredictionStore } from './store.ts';

const log = createLog('silent');

function request(changes: Partial<NewPrediction> = {}): NewPrediction {
  return {
    account: 'ada',
    model: 'test/echo',
    version: 'a'.repeat(64),
    input: { zebra: 1, apple: 'a\0b \u00e4 \ud83d\ude00 \ud800', steps: 5 },
    source: 'api',
    origin: 'http://127.0.0.1:5000',
    inputFiles: [],
    ...changes,
  };
}

describe.each(databaseKinds())('predictions on %s', (kind) => {
  let place: TestPlace;
  let database: Database;
  let predictions: PredictionStore;

  beforeAll(async () => {
    place = await makePlace(kind);
    database = await openDatabase(place, log);
    predictions = await createPredictions(database, log);
  });
  afterAll(async () => {
    await predictions?.close();
    await database?.close();
    await place?.remove();
  });

  const take = () =>
    database.kysely
      .transaction()
      .execute(async (transaction) => (await predictions.tickets.take(transaction))?.predictionId);
  const happens = (id: string, event: Parameters<typeof advance>[2]) =>
    database.kysely.transaction().execute((transaction) => advance(transaction, id, event, 'host'));
  const drain = async () => {
    while (await take()) {}
  };

  it('keeps what was sent: key order, unusual characters, the files', async () => {
    const file = { key: `k${kind}`, name: 'a.png', contentType: 'image/png', size: 3_000_000_000, sha256: 'ff' };
    const created = await predictions.create(request({ inputFiles: [file] }));
    expect(created.id).toMatch(/^[0-9a-hjkmnp-tv-z]{26}$/);
    const read = await predictions.get('ada', created.id);
    expect(read).toEqual(created);
    expect(JSON.stringify(read?.input)).toBe(JSON.stringify(request().input));
    expect(read).toMatchObject({ status: 'starting', output: null, logs: '', error: null, metrics: {}, attempt: 0 });
    expect(await predictions.file(file.key)).toEqual(file);
    expect(await predictions.file('unknown')).toBeUndefined();
  });

  it('shows a prediction to its account alone', async () => {
    const { id } = await predictions.create(request());
    expect(await predictions.get('eve', id)).toBeUndefined();
    expect(await predictions.cancel('eve', id)).toBeUndefined();
    expect((await predictions.get('ada', id))?.status).toBe('starting');
  });

  it('hands tickets out in the order of creation, and first those that ran before', async () => {
    await drain();
    const ids: string[] = [];
    for (let index = 0; index < 20; index++) ids.push((await predictions.create(request())).id);
    expect(await predictions.queued()).toBeGreaterThanOrEqual(20);
    const again = ids[13]!;
    await database.kysely.transaction().execute((transaction) => predictions.tickets.add(transaction, again, true));
    const taken: (string | undefined)[] = [];
    for (let index = 0; index < 21; index++) taken.push(await take());
    expect(taken).toEqual([again, ...ids]);
    expect(await take()).toBeUndefined();
  });

  it('leaves neither row nor ticket when creation fails', async () => {
    await drain();
    const before = await predictions.queued();
    const twice = { key: 'twice', name: 'a.png', contentType: 'image/png', size: 1, sha256: '00' };
    await expect(predictions.create(request({ inputFiles: [twice, twice] }))).rejects.toThrow();
    expect(await predictions.queued()).toBe(before);
    expect(await take()).toBeUndefined();
  });

  it('gives each ticket to one of many that ask at once', async () => {
    await drain();
    await Promise.all(Array.from({ length: 12 }, () => predictions.create(request())));
    const taken = await Promise.all(Array.from({ length: 30 }, take));
    const ids = taken.filter((id) => id !== undefined);
    // A taker may find only tickets that others are about to use up, and come away empty.
    while (true) {
      const id = await take();
      if (!id) break;
      ids.push(id);
    }
    expect(ids).toHaveLength(12);
    expect(new Set(ids).size).toBe(12);
  });

  it('ends a queued prediction at once when it is canceled, and only once', async () => {
    const { id } = await predictions.create(request());
    const canceled = await predictions.cancel('ada', id);
    expect(canceled).toMatchObject({ status: 'canceled', startedAt: null, attempt: 0 });
    expect(await predictions.cancel('ada', id)).toEqual(canceled);
    expect(await happens(id, { type: 'started' })).toEqual({ prediction: canceled, changed: false });
  });

  it('keeps a host that lost its prediction from writing', async () => {
    const { id } = await predictions.create(request());
    await happens(id, { type: 'started' });
    await happens(id, { type: 'logged', attempt: 1, text: 'one\n' });
    await happens(id, { type: 'interrupted', attempt: 1, what: 'host gone', maxAttempts: 3 });
    await happens(id, { type: 'started' });
    expect(await happens(id, { type: 'succeeded', attempt: 1, predictSeconds: 1 })).toMatchObject({ changed: false });
    expect(await happens(id, { type: 'logged', attempt: 1, text: 'late\n' })).toMatchObject({ changed: false });
    await happens(id, { type: 'output', attempt: 2, output: ['x'] });
    await happens(id, { type: 'succeeded', attempt: 2, predictSeconds: 0.5 });
    const read = await predictions.get('ada', id);
    expect(read).toMatchObject({ status: 'succeeded', attempt: 2, output: ['x'], metrics: { predict_time: 0.5 } });
    expect(read?.logs).toBe('one\n--- host gone; starting again, attempt 2 of 3 ---\n');
    expect(read!.startedAt!.getTime()).toBeGreaterThanOrEqual(read!.createdAt.getTime());
    expect(read!.completedAt!.getTime()).toBeGreaterThanOrEqual(read!.startedAt!.getTime());
  });

  it('stores logs with characters that PostgreSQL has not', async () => {
    const { id } = await predictions.create(request());
    await happens(id, { type: 'started' });
    await happens(id, { type: 'logged', attempt: 1, text: 'a\0b\ud800c' });
    expect((await predictions.get('ada', id))?.logs).toBe('a\ufffdb\ufffdc');
  });

  it('lists by key, newest first, while new ones come in', async () => {
    const account = 'lister';
    const ids: string[] = [];
    for (let index = 0; index < 25; index++) {
      const source = index % 2 === 0 ? 'api' : 'web';
      ids.unshift((await predictions.create(request({ account, source }))).id);
    }
    // All at the same time: the id decides.
    await sql`update predictions set created_at = date_trunc('minute', created_at) where account = ${account}`.execute(
      database.kysely,
    );
    const first = await predictions.list({ account, limit: 10 });
    expect(first.previous).toBeUndefined();
    await predictions.create(request({ account }));
    const second = await predictions.list({ account, limit: 10, cursor: first.next! });
    const third = await predictions.list({ account, limit: 10, cursor: second.next! });
    expect(third.next).toBeUndefined();
    const walked = [first, second, third].flatMap((page) => page.predictions.map(({ id }) => id));
    expect(walked).toEqual([...ids].sort().reverse());
    const back = await predictions.list({ account, limit: 10, cursor: third.previous! });
    expect(back.predictions).toEqual(second.predictions);
    const newest = await predictions.list({ account, limit: 30, cursor: second.previous! });
    expect(newest.predictions).toHaveLength(11);
    expect(newest.previous).toBeUndefined();

    const web = await predictions.list({ account, limit: 30, source: 'web' });
    expect(web.predictions).toHaveLength(12);
    const boundary = first.predictions[0]!.createdAt;
    const since = await predictions.list({ account, limit: 30, createdAfter: boundary });
    expect(since.predictions).toHaveLength(26);
    const before = await predictions.list({ account, limit: 30, createdBefore: boundary });
    expect(before.predictions).toHaveLength(0);
    expect(before.next).toBeUndefined();
    await expect(predictions.list({ account, limit: 10, cursor: 'bm9uc2Vuc2U' })).rejects.toThrow(
      new InputError('Invalid cursor', 'cursor'),
    );
  });

  it('wakes hundreds that wait for the same and for other ends', async () => {
    const created = await Promise.all(Array.from({ length: 20 }, () => predictions.create(request())));
    const waiting = created.flatMap(({ id }) => Array.from({ length: 15 }, () => predictions.waitForEnd(id, 600_000)));
    await Promise.all(created.map(({ id }) => predictions.cancel('ada', id)));
    for (const ended of await Promise.all(waiting)) expect(ended?.status).toBe('canceled');
  });

  it('answers a wait at once when the prediction has ended, and as it stands when time is up', async () => {
    const { id } = await predictions.create(request());
    expect((await predictions.waitForEnd(id, 20))?.status).toBe('starting');
    await predictions.cancel('ada', id);
    expect((await predictions.waitForEnd(id, 600_000))?.status).toBe('canceled');
    expect(await predictions.waitForEnd('unknown', 600_000)).toBeUndefined();
  });

  it('lets all waiting callers go when the server is about to end', async () => {
    const others = await createPredictions(database, log);
    const { id } = await others.create(request());
    const waiting = others.waitForEnd(id, 600_000);
    others.endWaits();
    expect((await waiting)?.status).toBe('starting');
    expect((await others.waitForEnd(id, 600_000))?.status).toBe('starting');
    await others.close();
  });

  it('wakes a waiter although the message was lost', async () => {
    const { id } = await predictions.create(request());
    // Longer than the test may take: who is not woken waits in vain.
    const waiting = predictions.waitForEnd(id, 600_000);
    await happens(id, { type: 'cancelRequested' });
    expect((await waiting)?.status).toBe('canceled');
  });

  it('delivers messages of one process to another', async () => {
    const heard: string[] = [];
    const stop = database.listen('test_channel', (payload) => heard.push(payload));
    await database.listening();
    for (let index = 0; index < 50; index++) database.notify('test_channel', String(index));
    await waitUntil('all messages came', () => heard.length === 50);
    stop();
    expect(heard).toEqual(Array.from({ length: 50 }, (_, index) => String(index)));
  });
});
