import { sql } from 'kysely';
import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import { type AttemptStores, endAttempt } from './attempt.ts';

/** How living hosts show themselves, and how soon the end of one is noticed. */
export interface PresenceTiming {
  /** How often a host writes that it lives, and looks after the others. */
  beatMs: number;
  /** How long a host whose connection is gone may take to come back before its predictions run elsewhere. */
  confirmMs: number;
  /** How long a host may be silent while its connection still seems to be there (a machine that lost its power). */
  lapseMs: number;
}

export const usualTiming: PresenceTiming = { beatMs: 1_000, confirmMs: 2_000, lapseMs: 10_000 };

export interface PresenceOptions {
  stores: AttemptStores;
  hostId: string;
  maxAttempts: number;
  timing: PresenceTiming;
  log: Logger;
  /** Called with every beat. */
  compare(): Promise<void>;
}

/**
 * Registers a host, and takes back the predictions of hosts that have died. Death shows in the lock of the host's
 * session, which the database drops with its connection, or in a long silence. To be wrong is safe: a host that was
 * given up cannot write to its predictions any more.
 */
export async function startPresence(options: PresenceOptions): Promise<{ close(): Promise<void> }> {
  const { stores, hostId, timing, log } = options;
  const { kysely } = stores.database;
  /** Hosts whose session was found gone: their last sign of life, and when it was first found so. */
  const suspects = new Map<string, { seen: string; since: number }>();

  const beat = async (): Promise<void> => {
    const now = sql<Date>`clock_timestamp()`;
    await kysely
      .insertInto('hosts')
      .values({ id: hostId })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ seen_at: now }))
      .execute();
  };

  const isDead = async (id: string, seen: string, silentMs: number): Promise<boolean> => {
    if (silentMs > timing.lapseMs) return true;
    if (!(await stores.database.isSessionGone(id))) {
      suspects.delete(id);
      return false;
    }
    // The only process on an embedded database knows for sure.
    if (stores.database.kind === 'pglite') return true;
    const suspect = suspects.get(id);
    if (suspect?.seen === seen) return performance.now() - suspect.since >= timing.confirmMs;
    suspects.set(id, { seen, since: performance.now() });
    return false;
  };

  const sweep = async (): Promise<void> => {
    const { rows } = await sql<{ id: string; seen: string; silent_ms: number }>`
      select id, seen_at::text as seen,
        (extract(epoch from clock_timestamp() - seen_at) * 1000)::float8 as silent_ms
      from hosts where id <> ${hostId}
      union all
      select distinct host_id, '', 0::float8 from predictions
      where status = 'processing' and host_id <> ${hostId} and host_id not in (select id from hosts)`.execute(kysely);
    for (const { id, seen, silent_ms } of rows) {
      if (await isDead(id, seen, silent_ms)) await takeBack(id);
    }
  };

  const takeBack = async (deadId: string): Promise<void> => {
    const running = await kysely
      .selectFrom('predictions')
      .select(['id', 'attempt'])
      .where('host_id', '=', deadId)
      .where('status', '=', 'processing')
      .execute();
    log.warn({ host: deadId, predictions: running.length }, 'a worker host ended unexpectedly');
    for (const { id, attempt } of running) {
      const what = 'worker host ended unexpectedly';
      await endAttempt(stores, id, { type: 'interrupted', attempt, what, maxAttempts: options.maxAttempts });
    }
    await kysely.deleteFrom('hosts').where('id', '=', deadId).execute();
    suspects.delete(deadId);
  };

  const letGo = await stores.database.holdSession(hostId);
  await beat();
  await sweep();
  const tick = async (): Promise<void> => {
    try {
      await beat();
      await options.compare();
      await sweep();
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'a worker host could not show that it lives');
    }
    ticking = undefined;
  };
  let ticking: Promise<void> | undefined;
  const timer = setInterval(() => {
    ticking ??= tick();
  }, timing.beatMs);
  return {
    async close() {
      clearInterval(timer);
      await ticking;
      await kysely.deleteFrom('hosts').where('id', '=', hostId).execute();
      await letGo();
    },
  };
}

/** What the host runs according to the database. */
export interface OwnedPrediction {
  id: string;
  attempt: number;
  cancelRequested: boolean;
  /** Seconds since it was claimed. */
  age: number;
}

export async function ownedBy(database: Database, hostId: string): Promise<OwnedPrediction[]> {
  const rows = await database.kysely
    .selectFrom('predictions')
    .select(['id', 'attempt', 'cancel_requested_at'])
    .select(sql<number>`extract(epoch from clock_timestamp() - started_at)::float8`.as('age'))
    .where('host_id', '=', hostId)
    .where('status', '=', 'processing')
    .execute();
  return rows.map(({ id, attempt, age, cancel_requested_at: at }) => ({
    id,
    attempt,
    age,
    cancelRequested: at !== null,
  }));
}
