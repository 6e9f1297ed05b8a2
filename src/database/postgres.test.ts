import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makePlace, type TestPlace } from '../../test/support/databases.ts';
import { endless, makeGate } from '../../test/support/gate.ts';
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

/** Breaks the connections that hear messages and hold locks; it returns as soon as they are gone, and before new ones are there. */
async function breakSessions({ kysely }: Database): Promise<void> {
  const { rows } = await sql<{ pid: number }>`select pid, pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'darkroom session'`.execute(kysely);
  const pids = rows.map(({ pid }) => pid);
  for (let left = 1; left > 0; ) {
    const alive = await sql`select from pg_stat_activity where pid = any(${pids}::int[])`.execute(kysely);
    left = alive.rows.length;
  }
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

  /** Asked by the connection that was not broken. */
  const isGone = (name: string) => other.isSessionGone(name);

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

  it('holds and hears what is asked for while the connection is gone, and only that', async () => {
    const heard: string[] = [];
    const gone = await one.holdSession('host-3');
    await breakSessions(other);
    // Whether or not it has noticed.
    const letGo = await one.holdSession('host-4');
    expect(await isGone('host-4')).toBe(false);
    one.listen('late_channel', (payload) => heard.push(payload));
    await one.listening();
    other.notify('late_channel', 'after');
    await waitUntil('the message came', () => heard.includes('after'));

    await breakSessions(other);
    const letGoToo = await one.holdSession('host-5');
    await Promise.all([gone(), letGo()]);
    expect([await isGone('host-3'), await isGone('host-4'), await isGone('host-5')]).toEqual([true, true, false]);
    await letGoToo();
    expect(await isGone('host-5')).toBe(true);
  });

  it('does not disturb a prediction that runs', async () => {
    const setup = await setUpHost('PostgreSQL');
    const watcher = await openDatabase(setup.settings, log);
    await setup.startHost({}, { timing: { beatMs: 50, confirmMs: 2_000, lapseMs: 10_000 } });
    const gate = makeGate(setup);
    const { id } = await setup.create('test/echo', { ...gate.running, num_outputs: 3 });
    await setup.until(id, 'it makes progress', ({ logs }) => logs.includes(`| 3/${endless}`));
    for (let time = 0; time < 5; time++) {
      await breakConnections(watcher);
      // Its outputs and its end are written while connections break.
      if (time === 2) gate.open();
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    const ended = await waitUntil('it ends', async () => {
      const prediction = await setup.predictions.get('ada', id).catch(() => undefined);
      return prediction?.completedAt ? prediction : undefined;
    });
    expect(ended).toMatchObject({ status: 'succeeded', attempt: 1, interruptions: 0 });
    expect(ended.output).toHaveLength(3);
    await watcher.close();
    await setup.close();
  });
});
