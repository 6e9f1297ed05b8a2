import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseKinds, makePlace } from '../../test/support/databases.ts';
import { endless } from '../../test/support/gate.ts';
import { type HostSetup, setUpHost } from '../../test/support/host-setup.ts';
import { createLog } from '../base/log.ts';
import { openDatabase } from '../database/connect.ts';
import { isTerminal } from './prediction.ts';
import { createPredictions } from './store.ts';

describe.each(databaseKinds())('deadlines on %s', (kind) => {
  let setup: HostSetup;
  beforeAll(async () => {
    setup = await setUpHost(kind);
  });
  afterAll(() => setup?.close());

  const within = async (id: string, what: string) => setup.until(id, what, ({ status }) => isTerminal(status));

  it('counts from the creation, to the millisecond', async () => {
    const { deadline, createdAt } = await setup.create('test/echo', {}, { cancelAfterSeconds: 5445 });
    expect(deadline!.getTime() - createdAt.getTime()).toBe(5_445_000);
  });

  it('ends what waits and what runs at their deadline', async () => {
    const waits = await setup.create('test/echo', {}, { cancelAfterSeconds: 1 });
    const aborted = await within(waits.id, 'the deadline of what waits');
    expect(aborted).toMatchObject({ status: 'aborted', startedAt: null, error: null, output: null });
    expect(aborted.completedAt!.getTime()).toBeGreaterThanOrEqual(aborted.deadline!.getTime());

    const host = await setup.startHost();
    const quick = await setup.create('test/echo', {}, { cancelAfterSeconds: 600 });
    expect(await setup.end(quick.id)).toMatchObject({ status: 'succeeded', deadline: quick.deadline });
    const runs = await setup.create('test/echo', { steps: endless, step_ms: 5 }, { cancelAfterSeconds: 600 });
    await setup.until(runs.id, 'it runs', ({ status }) => status === 'processing');
    // However long it took to start.
    const soon = new Date(Date.now() + 300);
    await setup.database.kysely.updateTable('predictions').set({ deadline: soon }).where('id', '=', runs.id).execute();
    const canceled = await within(runs.id, 'the deadline of what runs');
    expect(canceled).toMatchObject({ status: 'canceled', error: null });
    expect(canceled.startedAt!.getTime()).toBeLessThan(canceled.deadline!.getTime());
    expect(canceled.completedAt!.getTime()).toBeGreaterThanOrEqual(canceled.deadline!.getTime());
    await host.close(0);
  });

  it('does not start what is past its deadline', async () => {
    const { id } = await setup.create('test/echo', {}, { cancelAfterSeconds: 60 });
    const past = new Date(Date.now() - 1_000);
    await setup.database.kysely.updateTable('predictions').set({ deadline: past }).where('id', '=', id).execute();
    const host = await setup.startHost();
    expect(await within(id, 'it has ended')).toMatchObject({ status: 'aborted', startedAt: null, attempt: 0 });
    await host.close(0);
  });
});

describe.each(databaseKinds())('deadlines on %s that passed while no process was there', (kind) => {
  it('are kept by the next one', async () => {
    const place = await makePlace(kind);
    const log = createLog('silent');
    const alone = await openDatabase(place, log);
    const { id } = await alone.kysely
      .insertInto('predictions')
      .values({
        id: '0'.repeat(26),
        account: 'ada',
        model: 'test/echo',
        version: 'e'.repeat(64),
        input: '{}',
        output: 'null',
        metrics: '{}',
        status: 'starting',
        source: 'api',
        origin: 'http://127.0.0.1:5000',
        deadline: new Date(Date.now() - 60_000),
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    await alone.close();
    const database = await openDatabase(place, log);
    const predictions = await createPredictions(database, log);
    expect(await predictions.waitForEnd(id, 30_000)).toMatchObject({ status: 'aborted' });
    await predictions.close();
    await database.close();
    await place.remove();
  });
});
