import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseKinds } from '../../test/support/databases.ts';
import { type HostSetup, setUpHost } from '../../test/support/host-setup.ts';
import { KeyConflict } from './idempotency.ts';
import type { NewPrediction } from './predictions.ts';

describe.each(databaseKinds())('creating on %s', (kind) => {
  let setup: HostSetup;
  beforeAll(async () => {
    setup = await setUpHost(kind);
  });
  afterAll(() => setup?.close());

  const request = (input: object, changes: Partial<NewPrediction> = {}): NewPrediction => ({
    account: 'ada',
    model: 'test/echo',
    version: 'e'.repeat(64),
    input: input as Record<string, unknown>,
    source: 'api',
    origin: 'http://127.0.0.1:5000',
    inputFiles: [],
    ...changes,
  });

  it('makes many at once, each as it was asked for', async () => {
    const asked = Array.from({ length: 250 }, (_, index) =>
      request({ text: `number ${index}` }, index % 3 === 0 ? { deployment: 'ada/one', cancelAfterSeconds: 60 } : {}),
    );
    const made = await Promise.all(asked.map((one) => setup.predictions.create(one)));
    expect(new Set(made.map(({ id }) => id)).size).toBe(250);
    for (const [index, prediction] of made.entries()) {
      expect(prediction.input).toEqual({ text: `number ${index}` });
      expect(prediction.deployment).toBe(index % 3 === 0 ? 'ada/one' : null);
      expect(prediction.deadline === null).toBe(index % 3 !== 0);
    }
    const read = await Promise.all(made.map(({ id }) => setup.predictions.get('ada', id)));
    expect(read).toEqual(made);
    const tickets = new Set<string>();
    const { kysely } = setup.database;
    for (;;) {
      const ticket = await kysely.transaction().execute((transaction) => setup.predictions.tickets.take(transaction));
      if (!ticket) break;
      expect(ticket.deployment ?? null).toBe(made.find(({ id }) => id === ticket.predictionId)!.deployment);
      tickets.add(ticket.predictionId);
    }
    expect(tickets).toEqual(new Set(made.map(({ id }) => id)));
  });

  it('makes the others when one of them cannot be stored', async () => {
    const file = { key: `twice${kind}`, name: 'a.png', contentType: 'image/png', size: 1, sha256: 'ff' };
    await setup.predictions.create(request({}, { inputFiles: [file] }));
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 5 }, () => setup.predictions.create(request({}))),
      setup.predictions.create(request({}, { inputFiles: [file] })),
      ...Array.from({ length: 5 }, () => setup.predictions.create(request({}))),
    ]);
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([
      ...Array(5).fill(true),
      false,
      ...Array(5).fill(true),
    ]);
  });

  it('makes one under a key, however many ask for it at once', async () => {
    const key = { key: 'k1', request: 'r1' };
    const made = await Promise.all(Array.from({ length: 20 }, () => setup.predictions.createOnce(request({}), key)));
    expect(new Set(made.map(({ prediction }) => prediction.id)).size).toBe(1);
    expect(made.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect((await setup.predictions.underKey('ada', key))?.id).toBe(made[0]!.prediction.id);
    expect(await setup.predictions.underKey('eve', key)).toBeUndefined();
    const other = await setup.predictions.createOnce(request({}, { account: 'eve' }), key);
    expect(other.isNew).toBe(true);
  });

  it('refuses a key that stands for another request', async () => {
    await setup.predictions.createOnce(request({}), { key: 'k2', request: 'r1' });
    const again = setup.predictions.createOnce(request({}), { key: 'k2', request: 'r2' });
    await expect(again).rejects.toBeInstanceOf(KeyConflict);
    await expect(setup.predictions.underKey('ada', { key: 'k2', request: 'r2' })).rejects.toThrow(/"k2" was used for/);
  });

  it('forgets a key after a day', async () => {
    const { kysely } = setup.database;
    const key = { key: 'k3', request: 'r1' };
    const first = await setup.predictions.createOnce(request({}), key);
    await setup.predictions.createOnce(request({}), { ...key, key: 'k4' });
    const yesterday = new Date(Date.now() - 24 * 60 * 60_000 - 1_000);
    await kysely.updateTable('idempotency_keys').set({ created_at: yesterday }).execute();
    expect(await setup.predictions.underKey('ada', key)).toBeUndefined();
    const second = await setup.predictions.createOnce(request({}), { ...key, request: 'r2' });
    expect(second.isNew).toBe(true);
    expect(second.prediction.id).not.toBe(first.prediction.id);
    expect(await kysely.selectFrom('idempotency_keys').select('key').execute()).toEqual([{ key: 'k3' }]);
  });
});
