import type { KyselyPlugin } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { databaseKinds, makePlace, type TestPlace } from '../../test/support/databases.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { createLog } from '../base/log.ts';
import { openDatabase } from '../database/connect.ts';
import type { Database } from '../database/database.ts';
import { advance } from './advance.ts';
import { channels } from './channels.ts';
import { createFollowers, type Followers } from './followers.ts';
import type { PredictionEvent } from './prediction.ts';
import type { Progress } from './progress.ts';
import { createPredictions, type PredictionStore } from './store.ts';

const log = createLog('silent');

describe.each(databaseKinds())('followers on %s', (kind) => {
  let place: TestPlace;
  let database: Database;
  let predictions: PredictionStore;
  let followers: Followers;
  let queries = 0;

  beforeAll(async () => {
    place = await makePlace(kind);
    database = await openDatabase(place, log);
    predictions = await createPredictions(database, log);
    const counting: KyselyPlugin = {
      transformQuery({ node }) {
        queries++;
        return node;
      },
      transformResult: async ({ result }) => result,
    };
    // It looks by itself only when a test lets it: until then it knows what was announced.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    followers = createFollowers({ ...database, kysely: database.kysely.withPlugin(counting) }, log);
    await database.listening();
  });
  beforeEach(() => {
    queries = 0;
  });
  afterAll(async () => {
    followers?.close();
    vi.useRealTimers();
    await predictions?.close();
    await database?.close();
    await place?.remove();
  });

  const create = async (): Promise<string> => {
    const request = { account: 'ada', model: 'test/echo', version: 'a'.repeat(64), input: {}, inputFiles: [] };
    return (await predictions.create({ ...request, source: 'api', origin: 'http://127.0.0.1' })).id;
  };
  const happens = (id: string, ...events: PredictionEvent[]) =>
    database.kysely.transaction().execute((transaction) => advance(transaction, id, events, 'host'));
  const follow = (id: string, withLogs = false) => {
    const heard: Progress[] = [];
    return { heard, stop: followers.follow(id, withLogs, (progress) => heard.push(progress)) };
  };

  it('tells how it stands, then what has changed as soon as it is announced', async () => {
    const id = await create();
    const { heard, stop } = follow(id);
    await waitUntil('the first word', () => heard.length > 0);
    expect(heard[0]).toMatchObject({ id, status: 'starting', attempt: 0, outputs: [], logs: '', completedAt: null });
    await happens(id, { type: 'started' }, { type: 'logged', attempt: 1, text: 'a' });
    await happens(id, { type: 'output', attempt: 1, output: ['one', 'two'] });
    database.notify(channels.output, id);
    await waitUntil('two outputs', () => heard.at(-1)?.outputs.length === 2);
    expect(heard.at(-1)).toMatchObject({ status: 'processing', attempt: 1, outputs: ['one', 'two'], logs: '' });
    await happens(id, { type: 'failed', attempt: 1, error: 'broken' });
    database.notify(channels.ended, id);
    await waitUntil('the end', () => heard.at(-1)?.status === 'failed');
    expect(heard.at(-1)).toMatchObject({ error: 'broken', completedAt: expect.any(Date) });
    stop();
    stop();
    const words = heard.length;
    const other = follow(id);
    database.notify(channels.ended, id);
    await waitUntil('the other hears', () => other.heard.length > 0);
    other.stop();
    expect(heard).toHaveLength(words);
  });

  it('reads logs only for who wants them', async () => {
    const id = await create();
    await happens(id, { type: 'started' }, { type: 'logged', attempt: 1, text: 'a\n' });
    const without = follow(id);
    const withLogs = follow(id, true);
    await waitUntil('the log', () => withLogs.heard.at(-1)?.logs === 'a\n');
    await happens(id, { type: 'logged', attempt: 1, text: 'b\n' });
    database.notify(channels.logged, id);
    await waitUntil('more of the log', () => withLogs.heard.at(-1)?.logs === 'a\nb\n');
    withLogs.stop();
    queries = 0;
    let isAnnounced = false;
    const stopListening = database.listen(channels.logged, () => {
      isAnnounced = true;
    });
    database.notify(channels.logged, id);
    await waitUntil('all have heard of it', () => isAnnounced);
    stopListening();
    const later = follow(await create());
    await waitUntil('something else is read', () => later.heard.length > 0);
    expect(queries).toBe(1);
    without.stop();
    later.stop();
  });

  it('finds out by itself what nobody announced', async () => {
    const id = await create();
    const { heard, stop } = follow(id);
    await waitUntil('the first word', () => heard.length > 0);
    await happens(id, { type: 'started' }, { type: 'output', attempt: 1, output: 'only' });
    vi.advanceTimersByTime(2_000);
    await waitUntil('the output', () => heard.at(-1)?.outputs[0] === 'only');
    stop();
  });

  it('reads for a thousand who ask at once as for few', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, create));
    queries = 0;
    const all = Array.from({ length: 1_000 }, (_, index) => follow(ids[index % ids.length]!));
    await waitUntil('everybody hears', () => all.every(({ heard }) => heard.length > 0));
    expect(queries).toBeLessThanOrEqual(2);
    for (const { stop } of all) stop();
  });
});
