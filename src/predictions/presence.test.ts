import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { databaseKinds } from '../../test/support/databases.ts';
import { endless } from '../../test/support/gate.ts';
import { type HostSetup, setUpHost } from '../../test/support/host-setup.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { type AttemptStores, addOutput, claim, endAttempt } from './attempt.ts';
import type { Host } from './host.ts';

describe.each(databaseKinds())('hosts that die, on %s', (kind) => {
  let setup: HostSetup;
  let stores: AttemptStores;
  let host: Host | undefined;

  beforeAll(async () => {
    setup = await setUpHost(kind);
    stores = { database: setup.database, files: setup.files, tickets: setup.predictions.tickets };
  });
  afterEach(async () => {
    await host?.close(0);
    host = undefined;
  });
  afterAll(async () => {
    await setup?.close();
  });

  /** A prediction that a host took, and half an output that it made. */
  const taken = async (hostId: string) => {
    await setup.create('test/echo', { num_outputs: 2 });
    const prediction = (await claim(stores, hostId))!;
    const half = await setup.files.put('half.txt', Buffer.from('half'));
    await addOutput(stores, prediction, half, ['half']);
    return { prediction, half };
  };
  const insertHost = (id: string) => setup.database.kysely.insertInto('hosts').values({ id }).execute();
  const hostIds = async () =>
    (await setup.database.kysely.selectFrom('hosts').select('id').execute()).map(({ id }) => id);

  it('runs again what a dead host had, and drops its half output', async () => {
    await insertHost('dead');
    const { prediction, half } = await taken('dead');
    host = await setup.startHost();
    const ended = await setup.end(prediction.id);
    expect(ended).toMatchObject({ status: 'succeeded', attempt: 2, interruptions: 1 });
    expect(ended.output).toHaveLength(2);
    expect(ended.logs).toMatch(/^--- worker host ended unexpectedly; starting again, attempt 2 of 3 ---\nsteps 2\n/);
    expect(await setup.predictions.file(half.key)).toBeUndefined();
    await waitUntil('its bytes are gone too', () => !setup.storedKeys().includes(half.key));
    await waitUntil('the dead host is forgotten', async () => !(await hostIds()).includes('dead'));
    expect(await addOutput(stores, prediction, half, ['late'])).toBeUndefined();
  });

  it('leaves a living host alone, and takes over once it is silent for long', async () => {
    const letGo = await setup.database.holdSession('elsewhere');
    await insertHost('elsewhere');
    const { prediction } = await taken('elsewhere');
    await insertHost('dead too');
    const other = await taken('dead too');
    host = await setup.startHost({}, { timing: { beatMs: 20, confirmMs: 0, lapseMs: 60_000 } });
    // That this one runs again shows that the host has looked after the others.
    await setup.end(other.prediction.id);
    expect((await setup.predictions.get('ada', prediction.id))?.status).toBe('processing');
    await sql`update hosts set seen_at = seen_at - interval '1 hour' where id = 'elsewhere'`.execute(
      setup.database.kysely,
    );
    expect(await setup.end(prediction.id)).toMatchObject({ status: 'succeeded', interruptions: 1 });
    await letGo();
  });

  it('ends as failed what killed its host too often', async () => {
    await insertHost('dead again');
    const { prediction } = await taken('dead again');
    await setup.database.kysely
      .updateTable('predictions')
      .set({ interruptions: 2 })
      .where('id', '=', prediction.id)
      .execute();
    host = await setup.startHost();
    const ended = await setup.end(prediction.id);
    expect(ended).toMatchObject({ status: 'failed', interruptions: 3 });
    expect(ended.error).toBe('Prediction interrupted; please retry (code: PA)');
  });

  it('stops a run that was taken away from it', async () => {
    host = await setup.startHost();
    const { id } = await setup.create('test/echo', { steps: endless, step_ms: 20, text: 'ours' });
    const { attempt } = await setup.until(id, 'it runs', ({ status }) => status === 'processing');
    // As if a sweep elsewhere had given this host up: the engine here is told to stop and is free for the next run.
    await endAttempt(stores, id, { type: 'interrupted', attempt, what: 'test', maxAttempts: 3 });
    const ours = await setup.create('test/echo', {});
    await setup.until(id, 'it starts again here', (prediction) => prediction.attempt === attempt + 1);
    await setup.predictions.cancel('ada', id);
    expect(await setup.end(id)).toMatchObject({ status: 'canceled', output: null });
    expect((await setup.end(ours.id)).status).toBe('succeeded');
  });
});
