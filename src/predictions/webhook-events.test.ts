import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { databaseKinds } from '../../test/support/databases.ts';
import { makeGate } from '../../test/support/gate.ts';
import { type HostSetup, setUpHost } from '../../test/support/host-setup.ts';
import { type Receiver, startReceiver } from '../../test/support/receiver.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import type { WebhookEvent } from '../webhooks/webhook.ts';
import { advance } from './advance.ts';
import type { Prediction, PredictionEvent } from './prediction.ts';
import { predictionJson } from './prediction-json.ts';
import { removeOldData } from './retention.ts';
import { tellWebhook, webhookBody } from './webhook-events.ts';

/** Nobody is there: what is in the outbox stays. */
const nowhere = { url: 'http://127.0.0.1:9/hook', allowPrivate: true };

describe.each(databaseKinds())('webhooks of predictions on %s', (kind) => {
  let setup: HostSetup;
  const receivers: Receiver[] = [];
  beforeAll(async () => {
    setup = await setUpHost(kind);
  });
  afterEach(async () => {
    for (const receiver of receivers.splice(0)) await receiver.close();
  });
  afterAll(async () => {
    await setup?.close();
  });

  const happens = (id: string, ...events: PredictionEvent[]) =>
    setup.database.kysely.transaction().execute((transaction) => advance(transaction, id, events, 'host'));
  const bodies = async (id: string): Promise<(string | null)[]> => {
    const rows = await setup.database.kysely
      .selectFrom('deliveries')
      .select('body')
      .where('prediction_id', '=', id)
      .execute();
    return rows.map(({ body }) => body);
  };
  /** One that no host takes. */
  const make = (webhookEventsFilter?: WebhookEvent[], webhook = nowhere) =>
    setup.create(
      'test/echo',
      { text: 'ä' },
      { webhook, ...(webhookEventsFilter && { webhookEventsFilter }), origin: 'https://box.example' },
    );

  it('writes the end into the outbox, once, as GET answers it then', async () => {
    const { id } = await make();
    await happens(id, { type: 'started' }, { type: 'logged', attempt: 1, text: 'one\0\n' });
    expect(await bodies(id)).toEqual([]);
    await happens(id, { type: 'failed', attempt: 1, error: 'no \ud800' });
    await happens(id, { type: 'failed', attempt: 1, error: 'again' });
    await setup.predictions.cancel('ada', id);
    const [body, ...others] = await bodies(id);
    expect(others).toEqual([]);
    expect(JSON.stringify(JSON.parse(body!))).toBe(body);
    const now = (await setup.predictions.get('ada', id))!;
    expect(JSON.parse(body!)).toEqual(predictionJson(now, 'https://box.example'));
    expect(body).toContain(`"webhook":"${nowhere.url}"`);
  });

  it('writes it together with the transition or not at all', async () => {
    const { id } = await make();
    const broken = setup.database.kysely.transaction().execute(async (transaction) => {
      await advance(transaction, id, { type: 'cancelRequested' });
      throw new Error('the connection broke');
    });
    await expect(broken).rejects.toThrow('broke');
    expect(await bodies(id)).toEqual([]);
    expect((await setup.predictions.get('ada', id))?.status).toBe('starting');
    await setup.predictions.cancel('ada', id);
    expect(await bodies(id)).toHaveLength(1);
  });

  it.each<[WebhookEvent[] | undefined, boolean]>([
    [undefined, true],
    [['completed'], true],
    [['start'], false],
    [['output', 'start'], false],
    [['logs'], true],
  ])('filter %j: the end of a prediction with logs alone is delivered: %s', async (filter, delivered) => {
    const { id } = await make(filter);
    await happens(id, { type: 'started' }, { type: 'logged', attempt: 1, text: 'one\n' });
    await happens(id, { type: 'canceled', attempt: 1 });
    expect(await bodies(id)).toHaveLength(delivered ? 1 : 0);
  });

  it('costs predictions without a webhook nothing', async () => {
    const { id } = await setup.create('test/echo', {});
    await setup.predictions.cancel('ada', id);
    expect(await bodies(id)).toEqual([]);
    const told: unknown[] = [];
    const prediction = (await setup.predictions.get('ada', id))!;
    tellWebhook({ tell: (happening) => void told.push(happening) }, prediction)({ ...prediction, logs: 'more' });
    expect(told).toEqual([]);
  });

  it('removes bodies with the data of the prediction', async () => {
    const { id } = await make();
    await setup.predictions.cancel('ada', id);
    // With another number of attempts: one that is under way ends without changing this.
    await sql`update deliveries set attempts = attempts + 1, next_attempt_at = null, delivered_at = now() where prediction_id = ${id}`.execute(
      setup.database.kysely,
    );
    await removeOldData(setup, 0);
    expect(await bodies(id)).toEqual([null]);
  });

  it('tells a receiver of all events, the end last, from the process that runs the prediction', async () => {
    const receiver = await startReceiver();
    receivers.push(receiver);
    await setup.startHost();
    const webhook = { url: `${receiver.origin}/hook`, allowPrivate: true };
    const gate = makeGate(setup);
    const { id } = await setup.create(
      'test/echo',
      { ...gate.running, num_outputs: 2 },
      { webhook, webhookEventsFilter: ['logs', 'start', 'output', 'completed'] },
    );
    await waitUntil('it hears of logs', () => receiver.received.some(({ body }) => /"logs":"steps/.test(body)));
    gate.open();
    const last = await setup.end(id);
    await waitUntil('the end is delivered', () => receiver.received.at(-1)?.body.includes('"succeeded"'));
    // One may have been broken off by the end.
    const whole = receiver.received.filter(({ body }) => body !== '');
    const heard = whole.map(({ body }) => JSON.parse(body) as { status: string; logs: string });
    expect(heard[0]).toMatchObject({ id, status: 'processing', logs: '' });
    expect(heard.length).toBeGreaterThanOrEqual(3);
    expect(heard.filter(({ status }) => status === 'succeeded')).toHaveLength(1);
    for (let index = 1; index < heard.length; index++) {
      expect(heard[index]!.logs.startsWith(heard[index - 1]!.logs)).toBe(true);
    }
    expect(receiver.received.at(-1)!.body).toBe(webhookBody(last));
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids).size).toBe(ids.length);
    await expect(setup.webhooks.deliveriesOf(id)).resolves.toHaveLength(1);
  });

  it('delivers what was written while nobody announced it', async () => {
    const receiver = await startReceiver();
    receivers.push(receiver);
    const { id } = await make(undefined, { url: receiver.origin, allowPrivate: true });
    await happens(id, { type: 'cancelRequested' });
    await waitUntil('it arrives', () => receiver.received.length === 1);
  });
});

const base: Prediction = {
  ...{ id: '0', account: 'ada', model: 'a/b', version: '0', source: 'api', origin: 'https://box.example' },
  ...{ input: {}, fileInputs: [], output: null, logs: '', error: null, status: 'succeeded', metrics: {} },
  ...{ createdAt: new Date(1), startedAt: new Date(2), completedAt: new Date(3), deadline: null },
  ...{ attempt: 1, interruptions: 0, cancelRequestedAt: null, dataRemoved: false, reportsAborted: false },
  ...{ deployment: null, streamKey: '0', webhook: nowhere, webhookEventsFilter: null },
};

describe('the body', () => {
  it('is what JSON.stringify makes of what JSON.parse reads, whatever the prediction holds', () => {
    let state = 20_261_121;
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const one = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!;
    const text = (): string =>
      Array.from({ length: Math.floor(random() * 6) }, () =>
        one(['a', '"', '\\', '/', '\n', '\0', '\u2028', 'ä', '😀', '\ud800', '\udfff', '<', '\x7f', '__proto__', '7']),
      ).join('');
    const numbers = [0, -0, 1, -1, 0.1, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, 2 ** 53, 123456789012345680000];
    const value = (depth: number): unknown => {
      const kind = Math.floor(random() * (depth > 0 ? 6 : 4));
      if (kind === 0) return one([null, true, false]);
      if (kind === 1) return one(numbers) * (random() < 0.5 ? 1 : random());
      if (kind < 4) return text();
      if (kind === 4) return Array.from({ length: Math.floor(random() * 4) }, () => value(depth - 1));
      return object(depth - 1);
    };
    const object = (depth: number): Record<string, unknown> =>
      Object.fromEntries(Array.from({ length: Math.floor(random() * 5) }, () => [text(), value(depth)]));

    for (let round = 0; round < 3_000; round++) {
      const prediction: Prediction = {
        ...base,
        input: object(3),
        fileInputs: [text()],
        // As the database gives it back.
        output: JSON.parse(JSON.stringify(value(4))),
        logs: text(),
        error: one([null, text()]),
        status: one(['processing', 'succeeded', 'failed', 'canceled']),
        metrics: { predict_time: random() * 10 ** Math.floor(random() * 20 - 10) },
        webhookEventsFilter: one([null, ['start', 'logs']]),
      };
      const body = webhookBody(prediction);
      expect(JSON.stringify(JSON.parse(body))).toBe(body);
      expect(Buffer.from(body).toString()).toBe(body);
      expect(body).not.toContain('\0');
    }
  });
});
