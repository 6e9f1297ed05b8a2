/** What holds for every prediction, whatever happens to it in whichever order. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseKinds } from '../../test/support/databases.ts';
import { type HostSetup, setUpHost } from '../../test/support/host-setup.ts';
import { advance } from './advance.ts';
import { isTerminal, type Prediction, type PredictionEvent, transition } from './prediction.ts';

/** The same numbers from the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Mostly of the attempt under way, sometimes of one that was given up or is yet to come. */
function randomEvent(random: () => number, attempt: number): PredictionEvent {
  const of = random() < 0.8 ? attempt : Math.floor(random() * 4);
  const events: PredictionEvent[] = [
    { type: 'started' },
    { type: 'started' },
    { type: 'logged', attempt: of, text: random() < 0.2 ? '' : 'line\n' },
    { type: 'output', attempt: of, output: [`file ${random()}`] },
    { type: 'succeeded', attempt: of, predictSeconds: random() },
    { type: 'failed', attempt: of, error: 'it broke' },
    { type: 'canceled', attempt: of },
    { type: 'cancelRequested' },
    { type: 'deadlinePassed' },
    { type: 'interrupted', attempt: of, what: 'engine ended', maxAttempts: 3 },
    { type: 'released', attempt: of },
    { type: 'dataRemoved' },
  ];
  return events[Math.floor(random() * events.length)]!;
}

function expectSound(before: Prediction, after: Prediction): void {
  const { status, createdAt, startedAt, completedAt, error, metrics } = after;
  expect(completedAt !== null).toBe(isTerminal(status));
  expect(error !== null).toBe(status === 'failed');
  expect(status === 'processing' && startedAt === null).toBe(false);
  expect(status === 'starting' && startedAt !== null).toBe(false);
  if (startedAt) expect(startedAt.getTime()).toBeGreaterThanOrEqual(createdAt.getTime());
  if (completedAt) {
    expect(completedAt.getTime()).toBeGreaterThanOrEqual((startedAt ?? createdAt).getTime());
    expect(metrics.total_time).toBeGreaterThanOrEqual(0);
    if (!after.dataRemoved) expect(after.logs.startsWith(before.logs)).toBe(true);
  }
  expect(after.attempt).toBeGreaterThanOrEqual(before.attempt);
  if (!isTerminal(before.status)) return;
  // Only its data may go.
  const removed = { input: {}, output: null, logs: '', dataRemoved: true };
  expect(after).toEqual(after.dataRemoved ? { ...before, ...removed } : before);
}

describe.each(databaseKinds())('any prediction on %s', (kind) => {
  let setup: HostSetup;
  beforeAll(async () => {
    setup = await setUpHost(kind);
  });
  afterAll(() => setup?.close());

  it('keeps its order of times, and its end, through any events', async () => {
    let ended = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const random = randomFrom(seed);
      const { id } = await setup.create('test/echo', { seed }, seed % 3 === 0 ? { cancelAfterSeconds: 0 } : {});
      let before = (await setup.predictions.get('ada', id))!;
      for (let step = 0; step < 12; step++) {
        const event = randomEvent(random, before.attempt);
        await setup.database.kysely
          .transaction()
          .execute((transaction) => advance(transaction, id, event, `host ${seed}`));
        const after = (await setup.predictions.get('ada', id))!;
        expectSound(before, after);
        before = after;
      }
      if (isTerminal(before.status)) ended++;
    }
    expect(ended).toBeGreaterThan(20);
  });

  it('is met once by who walks over the pages, while others come', async () => {
    const account = 'walker';
    const make = () => setup.create('test/echo', {}, { account });
    const there = await Promise.all(Array.from({ length: 57 }, make));
    let walking = true;
    const arriving = (async () => {
      while (walking) await Promise.all([make(), make(), make()]);
    })();
    for (const limit of [1, 5, 20]) {
      const met: Prediction[] = [];
      let cursor: string | undefined;
      do {
        const page = await setup.predictions.list({ account, limit, ...(cursor !== undefined && { cursor }) });
        met.push(...page.predictions);
        cursor = page.next;
      } while (cursor !== undefined);
      const ids = met.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids).toEqual(expect.arrayContaining(there.map(({ id }) => id)));
      const places = met.map(({ createdAt, id }) => `${createdAt.toISOString()} ${id}`);
      expect(places).toEqual(places.toSorted().reverse());
    }
    walking = false;
    await arriving;
  });
});

it('says nothing new when the same event comes again', () => {
  const at = new Date('2026-01-01T00:00:09.000Z');
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomFrom(seed);
    let prediction = { ...anyPrediction, deadline: seed % 3 === 0 ? at : null };
    for (let step = 0; step < 20; step++) {
      const event = randomEvent(random, prediction.attempt);
      const once = transition(prediction, event, at);
      expectSound(prediction, once);
      // A log line may be written twice; nothing else has an effect a second time.
      if (event.type !== 'logged' && event.type !== 'output') expect(transition(once, event, at)).toBe(once);
      prediction = once;
    }
  }
});

const anyPrediction: Prediction = {
  id: '01k00000000000000000000000',
  account: 'ada',
  model: 'test/echo',
  version: 'a'.repeat(64),
  input: { prompt: 'x' },
  fileInputs: [],
  output: null,
  logs: '',
  error: null,
  status: 'starting',
  source: 'api',
  deployment: null,
  origin: 'http://127.0.0.1:5000',
  createdAt: new Date('2026-01-01T00:00:00.000Z'),
  startedAt: null,
  completedAt: null,
  metrics: {},
  dataRemoved: false,
  attempt: 0,
  interruptions: 0,
  cancelRequestedAt: null,
  streamKey: 'a'.repeat(32),
  webhook: null,
  webhookEventsFilter: null,
  deadline: null,
  reportsAborted: false,
};
