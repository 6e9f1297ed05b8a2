import type { ServerResponse } from 'node:http';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { databaseKinds, makePlace, type TestPlace } from '../../test/support/databases.ts';
import { type Receiver, startReceiver } from '../../test/support/receiver.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { createSecrets } from '../accounts/secrets.ts';
import { createLog } from '../base/log.ts';
import { openDatabase } from '../database/connect.ts';
import type { Database } from '../database/database.ts';
import { createDeliveries } from './deliveries.ts';
import { mostAtOnce, startDispatcher } from './dispatcher.ts';
import { addDelivery, deliveriesWaiting, removeBodies } from './outbox.ts';
import { createPost, type Message } from './post.ts';
import { mostPerHost, usualTiming, type WebhookTiming } from './timing.ts';

const log = createLog(process.env.DARKROOM_TEST_LOG ? 'debug' : 'silent');
// However busy the machine is, nobody who answers is late.
const timing = { ...usualTiming, timeoutMs: 60_000, lookMs: 20, firstPauseMs: 40, graceMs: 100 };

describe.each(databaseKinds())('deliveries on %s', (kind) => {
  let place: TestPlace;
  let database: Database;
  const receivers: Receiver[] = [];
  const dispatchers: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    place = await makePlace(kind);
    database = await openDatabase(place, log);
  });
  afterEach(async () => {
    for (const dispatcher of dispatchers.splice(0)) await dispatcher.close();
    for (const receiver of receivers.splice(0)) await receiver.close();
    await sql`delete from predictions`.execute(database.kysely);
  });
  afterAll(async () => {
    await database?.close();
    await place?.remove();
  });

  const receive = async (...answer: Parameters<typeof startReceiver>): Promise<Receiver> => {
    const receiver = await startReceiver(...answer);
    receivers.push(receiver);
    return receiver;
  };
  const dispatch = (giveUpMs = 60_000, sent?: Message[], changes: Partial<WebhookTiming> = {}) => {
    const paced = { ...timing, ...changes };
    const send = createPost(createSecrets(database), paced.timeoutMs);
    const post: typeof send = (message, signal) => {
      sent?.push(message);
      return send(message, signal);
    };
    const dispatcher = startDispatcher({ database, post, giveUpMs, timing: paced, log });
    dispatchers.push(dispatcher);
    return dispatcher;
  };
  let made = 0;
  const put = async (url: string, body = '{"id":"x"}', account = 'ada'): Promise<string> => {
    const id = `prediction${made++}`;
    const webhook = { url, allowPrivate: true };
    await database.kysely.transaction().execute(async (transaction) => {
      await transaction
        .insertInto('predictions')
        .values({
          ...{ id, account, model: 'a/b', version: '0', source: 'api', origin: 'http://x', status: 'starting' },
          ...{ input: '{}', output: 'null', metrics: '{}', webhook: url, webhook_private: true },
        })
        .execute();
      await addDelivery(transaction, { id, account }, webhook, body);
    });
    database.notify(deliveriesWaiting, '');
    return id;
  };
  const deliveryOf = async (predictionId: string) => (await createDeliveries(database).deliveriesOf(predictionId))[0]!;
  const settled = (predictionId: string) =>
    waitUntil('it is settled', async () => {
      const delivery = await deliveryOf(predictionId);
      return delivery.status !== 'waiting' && delivery;
    });

  it('repeats the same bytes under the same id until they are received, with growing pauses', async () => {
    const receiver = await receive((_received, response, attempt) => {
      response.writeHead([500, 404, 302, 503][attempt] ?? 200).end();
    });
    // After a first attempt of seconds on a busy machine the doubled pauses would take half a minute.
    dispatch(undefined, undefined, { longestPauseMs: 1_000 });
    const body = JSON.stringify({ text: 'ä€😀\u0000\ud800', seed: 1.5 });
    const id = await put(`${receiver.origin}/hook?a=1`, body);
    const { status, attempts, deliveredAt, id: messageId } = await settled(id);
    expect(status).toBe('delivered');
    expect(deliveredAt).not.toBeNull();
    expect(attempts.map((attempt) => attempt.status)).toEqual([500, 404, 302, 503, 200]);
    expect(attempts.map(({ error }) => error === null)).toEqual([false, false, false, false, true]);
    expect(receiver.received.map((received) => received.body)).toEqual(Array(5).fill(body));
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([messageId]));
    const times = receiver.received.map(({ at }) => at);
    const pauses = times.slice(1).map((at, index) => at - times[index]!);
    expect(pauses[0]).toBeGreaterThanOrEqual(timing.firstPauseMs - 2);
    // Twice the pause before it, and more; each may be cut by a millisecond or two.
    expect(pauses[3]).toBeGreaterThanOrEqual(3.5 * timing.firstPauseMs);
  });

  it('gives up at the end of the time, and begins anew when asked to', async () => {
    let well = false;
    const receiver = await receive((_received, response) => {
      response.writeHead(well ? 200 : 500).end();
    });
    const id = await put(receiver.origin);
    // As after almost a day: the next pause would be longer than the time that is left.
    const { rows } = await sql<{
      end: Date;
    }>`update deliveries set give_up_at = clock_timestamp() + interval '10 minutes'
      returning give_up_at as end`.execute(database.kysely);
    dispatch(24 * 3_600_000);
    await waitUntil('the first attempt is over', async () => (await deliveryOf(id)).attempts.length === 1);
    expect(await deliveryOf(id)).toMatchObject({ status: 'waiting', nextAttemptAt: rows[0]!.end });
    await sql`update deliveries set next_attempt_at = clock_timestamp(), give_up_at = clock_timestamp()`.execute(
      database.kysely,
    );
    const failed = await settled(id);
    expect(failed).toMatchObject({ status: 'failed', nextAttemptAt: null });
    expect(failed.attempts).toHaveLength(2);

    well = true;
    const deliveries = createDeliveries(database);
    expect(await deliveries.repeatDelivery(id, failed.id)).toMatchObject({ id: failed.id, status: 'waiting' });
    expect((await settled(id)).status).toBe('delivered');
    await deliveries.repeatDelivery(id, failed.id);
    await waitUntil('it is sent once more', () => receiver.received.length === failed.attempts.length + 2);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(await deliveries.repeatDelivery('other', failed.id)).toBeUndefined();
    expect(await deliveries.repeatDelivery(id, 'msg_00')).toBeUndefined();
  });

  it('makes an attempt however long it was away', async () => {
    const receiver = await receive();
    const id = await put(receiver.origin);
    await sql`update deliveries set created_at = created_at - interval '1 day', attempts = 3,
      next_attempt_at = clock_timestamp() - interval '1 day', give_up_at = clock_timestamp() - interval '1 day'
    `.execute(database.kysely);
    dispatch();
    expect((await settled(id)).status).toBe('delivered');
  });

  it('lets receivers that hang delay nobody, and sends each at most so many at once', async () => {
    const open = new Set<ServerResponse>();
    let most = 0;
    const hanging = await receive((_received, response) => {
      most = Math.max(most, open.add(response).size);
      response.on('close', () => open.delete(response));
    });
    for (let index = 0; index < 2 * mostPerHost; index++) await put(hanging.origin);
    dispatch();
    await waitUntil('they hang', () => open.size === mostPerHost);
    const well = await receive();
    const ids = await Promise.all(Array.from({ length: 2 * mostPerHost }, () => put(well.origin)));
    await waitUntil('all of the other are delivered', () => well.received.length === ids.length);
    expect(hanging.received).toHaveLength(mostPerHost);
    for (const response of open) response.end();
    await waitUntil('all were tried', () => hanging.received.length === 2 * mostPerHost);
    expect(most).toBe(mostPerHost);
    expect((await settled(ids[0]!)).attempts).toHaveLength(1);
  });

  it('D65 leaves room for others, however many of one account hang', async () => {
    let open = 0;
    const hang: Parameters<typeof startReceiver>[0] = (_received, response) => {
      open++;
      response.on('close', () => open--);
    };
    const hosts = (2 * mostAtOnce) / mostPerHost;
    const hanging = await Promise.all(Array.from({ length: hosts }, () => receive(hang)));
    for (const { origin } of hanging) {
      await Promise.all(Array.from({ length: mostPerHost }, () => put(origin, '{}', 'babbage')));
    }
    dispatch();
    await waitUntil('they hang', () => open === mostAtOnce / 2);
    const well = await receive();
    // As many as the others leave are under way at once, and all arrive: also at a host where another's hang.
    const ids = Array.from({ length: 2 * mostPerHost }, (_, index) => put(`${well.origin}/${index}`));
    await Promise.all(ids);
    const [first] = hanging;
    await put(`${first!.origin}/mine`);
    await waitUntil(
      'all of the other are there',
      () => well.received.length === ids.length && first!.received.some(({ path }) => path === '/mine'),
    );
    expect(open).toBe(mostAtOnce / 2 + 1);
  });

  it('goes on by itself until nothing waits, however much there is for one host', async () => {
    const receiver = await receive();
    for (let index = 0; index < 6 * mostPerHost; index++) await put(`${receiver.origin}/${index}`);
    // It looks once, at the start: one that needed a second look would take a minute.
    dispatch(60_000, undefined, { lookMs: 60_000 });
    await waitUntil('all arrived', () => receiver.received.length === 6 * mostPerHost);
  });

  it('has each attempt made by one of several processes', async () => {
    const receiver = await receive();
    for (let index = 0; index < 60; index++) await put(`${receiver.origin}/${index}`);
    // An embedded database has but one.
    const sent: Message[][] = kind === 'PGlite' ? [[]] : [[], [], []];
    for (const own of sent) dispatch(60_000, own);
    await waitUntil('all are delivered', async () => {
      const { rows } = await sql`select from deliveries where delivered_at is null`.execute(database.kysely);
      return rows.length === 0;
    });
    expect(sent.flat()).toHaveLength(60);
    expect(new Set(receiver.received.map(({ path }) => path)).size).toBe(60);
  });

  it('takes up what another process was about to send when it died', async () => {
    const receiver = await receive();
    const id = await put(receiver.origin);
    // As a claim leaves it.
    await sql`update deliveries set attempts = 1, next_attempt_at = clock_timestamp() + interval '300 milliseconds',
      give_up_at = clock_timestamp() + interval '1 minute'`.execute(database.kysely);
    dispatch();
    expect((await settled(id)).status).toBe('delivered');
    expect(receiver.received).toHaveLength(1);
  });

  it('frees at once what it was sending when it is closed', async () => {
    const hanging = await receive(() => {});
    const id = await put(hanging.origin);
    const dispatcher = dispatch();
    await waitUntil('it hangs', () => hanging.received.length === 1);
    await dispatcher.close();
    const { status, nextAttemptAt, attempts } = await deliveryOf(id);
    expect([status, attempts]).toEqual(['waiting', []]);
    expect(nextAttemptAt!.getTime()).toBeLessThanOrEqual(Date.now() + 50);
  });

  it('lets a result that comes after the lease change nothing but the list of attempts', async () => {
    let answer: (() => void) | undefined;
    const hanging = await receive((_received, response) => {
      answer = () => void response.writeHead(500).end();
    });
    const id = await put(hanging.origin);
    dispatch();
    await waitUntil('it is being sent', () => answer !== undefined);
    await sql`update deliveries set attempts = attempts + 1, next_attempt_at = null, delivered_at = clock_timestamp()
    `.execute(database.kysely);
    answer!();
    await waitUntil('the result came', async () => (await deliveryOf(id)).attempts.length === 1);
    expect((await deliveryOf(id)).status).toBe('delivered');
  });

  it('repeats what is being sent, whatever becomes of that', async () => {
    let answer: (() => void) | undefined;
    const receiver = await receive((_received, response, attempt) => {
      const end = (): void => void response.writeHead(attempt === 0 ? 500 : 200).end();
      if (attempt === 0) answer = end;
      else end();
    });
    const id = await put(receiver.origin);
    dispatch(100);
    await waitUntil('it is being sent', () => answer !== undefined);
    await createDeliveries(database).repeatDelivery(id, (await deliveryOf(id)).id);
    answer!();
    expect((await settled(id)).status).toBe('delivered');
    await waitUntil('both are listed', async () => (await deliveryOf(id)).attempts.length === 2);
  });

  it('removes bodies with the data; what still has to arrive says what is left', async () => {
    const receiver = await receive((_received, response) => {
      response.writeHead(500).end();
    });
    const [delivered, waiting] = [await put(receiver.origin, '{"a":1}'), await put(receiver.origin, '{"b":2}')];
    await sql`update deliveries set next_attempt_at = null, delivered_at = clock_timestamp()
      where prediction_id = ${delivered}`.execute(database.kysely);
    for (const id of [delivered, waiting]) await removeBodies(database.kysely, id, '{"data_removed":true}');
    const { id } = await deliveryOf(delivered);
    expect(await createDeliveries(database).repeatDelivery(delivered, id)).toBe('removed');
    dispatch();
    await waitUntil('the other is sent', () => receiver.received.length === 1);
    expect(receiver.received[0]!.body).toBe('{"data_removed":true}');
  });

  // An embedded database does one thing at a time.
  if (kind === 'PGlite') return;
  it('removes the body of what is delivered at the same moment', async () => {
    const id = await put('http://127.0.0.1:9');
    const { removing } = await database.kysely.transaction().execute(async (transaction) => {
      await sql`update deliveries set next_attempt_at = null, delivered_at = clock_timestamp()`.execute(transaction);
      const started = removeBodies(database.kysely, id, '{"data_removed":true}');
      await waitUntil('the removal waits for the delivery', async () => {
        const { rows } = await sql`select from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`.execute(database.kysely);
        return rows.length > 0;
      });
      return { removing: started };
    });
    await removing;
    const { body } = await database.kysely.selectFrom('deliveries').select('body').executeTakeFirstOrThrow();
    expect(body).toBeNull();
  });
});
