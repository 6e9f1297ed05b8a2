import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makePlace, type TestPlace } from '../../test/support/databases.ts';
import { setUpHost } from '../../test/support/host-setup.ts';
import { isPostgresAvailable } from '../../test/support/postgres.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { createLog } from '../base/log.ts';
import { openDatabase } from './connect.ts';
import type { Database } from './database.ts';

const log = createLog('silent');

/** Breaks every connection to this database but the one that asks, as a restart of PostgreSQL would. */
async function breakConnections({ kysely }: Database): Promise<void> {
  await sql`select pg_terminate_backend(pid, 10000) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`.execute(kysely);
}

describe.skipIf(!isPostgresAvailable())('PostgreSQL that goes away and comes back', () => {
  let place: TestPlace;
  let one: Database;
  let other: Database;
  beforeAll(async () => {
    place = await makePlace('PostgreSQL');
    one = await openDatabase(place, log);
    other = await openDatabase(place, log);
  });
  afterAll(async () => {
    await one?.close();
    await other?.close();
    await place?.remove();
  });

  it('hears messages of other processes again, and holds its locks again', async () => {
    const heard: string[] = [];
    one.listen('test_channel', (payload) => heard.push(payload));
    const letGo = await one.holdSession('host-1');
    other.notify('test_channel', 'before');
    await waitUntil('the first message came', () => heard.includes('before'));
    expect(await other.isSessionGone('host-1')).toBe(false);

    await breakConnections(other);
    await waitUntil('the lock is held again', async () => !(await other.isSessionGone('host-1').catch(() => true)));
    other.notify('test_channel', 'after');
    await waitUntil('the second message came', () => heard.includes('after'));

    await letGo();
    expect(await other.isSessionGone('host-1')).toBe(true);
  });

  it('shows others that a process has ended', async () => {
    const third = await openDatabase(place, log);
    await third.holdSession('host-2');
    expect(await one.isSessionGone('host-2')).toBe(false);
    await third.close();
    await waitUntil('the lock is free', () => one.isSessionGone('host-2'));
  });

  it('does not disturb a prediction that runs', async () => {
    const setup = await setUpHost('PostgreSQL');
    const watcher = await openDatabase(setup.settings, log);
    await setup.startHost({}, { timing: { beatMs: 50, confirmMs: 2_000, lapseMs: 10_000 } });
    const { id } = await setup.create('test/echo', { steps: 40, step_ms: 25, num_outputs: 3 });
    await setup.until(id, 'it makes progress', ({ logs }) => logs.includes('| 3/40'));
    for (let time = 0; time < 5; time++) {
      await breakConnections(watcher);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    const ended = await waitUntil('it ends', async () => {
      const prediction = await setup.predictions.get('ada', id).catch(() => undefined);
      return prediction?.completedAt ? prediction : undefined;
    });
    expect(ended).toMatchObject({ status: 'succeeded', attempt: 1, interruptions: 0 });
    expect(ended.output).toHaveLength(3);
    expect(ended.logs).toContain('| 40/40');
    await watcher.close();
    await setup.close();
  });
});
