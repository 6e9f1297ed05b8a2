import { setMaxListeners } from 'node:events';
import { sql } from 'kysely';
import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import { deliveriesWaiting } from './outbox.ts';
import type { Post } from './post.ts';
import { mostPerHost, type WebhookTiming } from './timing.ts';

/** Requests that this process has under way at once, to all receivers together. */
export const mostAtOnce = 256;
/** How much longer than an attempt may take nobody else takes it up. */
const leaseMarginMs = 5_000;

export interface DispatcherOptions {
  database: Database;
  post: Post;
  /** How long after the first attempt the last one is made. */
  giveUpMs: number;
  timing: WebhookTiming;
  log: Logger;
}

interface Claimed {
  id: string;
  prediction_id: string;
  account: string;
  host: string;
  url: string;
  private: boolean;
  body: string;
  attempts: number;
}

/**
 * Sends what lies in the outbox until it has arrived, or is given up. Any number of processes may do so at once:
 * whoever takes a delivery up says when another may, should it die, and so each attempt is made by one.
 */
export function startDispatcher({ database, post, giveUpMs, timing, log }: DispatcherOptions): {
  close(): Promise<void>;
} {
  const { kysely } = database;
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);
  const underWay = new Set<Promise<void>>();
  /** What is under way. */
  const running = new Set<Claimed>();
  /** Whether more may wait than there was room for: by account and host, and of some account. */
  let fullReceivers = new Set<string>();
  let isShareUsedUp = false;
  let closed = false;
  let again = false;
  let looking: Promise<void> | undefined;

  const look = (): void => {
    again = true;
    looking ??= takeAll()
      .catch((error: Error) => log.warn({ error: error.message }, 'webhooks could not be looked for; trying again'))
      .finally(() => {
        looking = undefined;
      });
  };

  const takeAll = async (): Promise<void> => {
    while (again && !closed) {
      again = false;
      for (const claimed of await claim()) {
        running.add(claimed);
        const sending = send(claimed).finally(() => underWay.delete(sending));
        underWay.add(sending);
      }
    }
  };

  /**
   * The oldest for each host that has room, so that many for one host leave room for the others; and of each account no
   * more than what is then left free, so that however many hang of some accounts, others find room.
   */
  const claim = async (): Promise<Claimed[]> => {
    const before = [...running];
    const receivers = countBy(before, receiverOf);
    const accounts = countBy(before, ({ account }) => account);
    const leaseMs = timing.timeoutMs + leaseMarginMs;
    // Times are rounded to milliseconds, up too. `statement_timestamp`, as an index serves no clock that runs on.
    const now = sql`statement_timestamp() + interval '1 millisecond'`;
    const { rows } = await sql<Claimed>`
      with recursive receivers (account, host) as (
        (select account, host from deliveries where next_attempt_at is not null order by account, host limit 1)
        union all
        select further.account, further.host from receivers cross join lateral (
          select account, host from deliveries
          where next_attempt_at is not null and (deliveries.account, deliveries.host) > (receivers.account, receivers.host)
          order by account, host limit 1
        ) as further
      ), due as (
        select oldest.id, account, next_attempt_at from receivers
        left join unnest(${[...receivers.keys()]}::text[], ${[...receivers.values()]}::int[]) as busy (name, running)
          on busy.name = account || ' ' || host
        cross join lateral (
          select id, next_attempt_at from deliveries
          where account = receivers.account and host = receivers.host and next_attempt_at <= ${now}
          order by next_attempt_at limit ${mostPerHost}::int - coalesce(busy.running, 0)
        ) as oldest
      ), counted as (
        select id, next_attempt_at, coalesce(busy.running, 0)
          + row_number() over (partition by account order by next_attempt_at) as of_account
        from due
        left join unnest(${[...accounts.keys()]}::text[], ${[...accounts.values()]}::int[]) as busy (name, running)
          on busy.name = account
      ), shared as (
        select id, of_account, row_number() over (order by of_account, next_attempt_at) as place from counted
      ), taken as (
        select id from deliveries
        where id in (select id from shared where of_account <= ${mostAtOnce - before.length}::int - place)
          and next_attempt_at <= ${now}
        for update skip locked
      )
      update deliveries set
        attempts = attempts + 1,
        next_attempt_at = clock_timestamp() + ${milliseconds(leaseMs)},
        give_up_at = coalesce(give_up_at, clock_timestamp() + ${milliseconds(giveUpMs)})
      from taken, predictions
      where deliveries.id = taken.id and predictions.id = prediction_id
      returning deliveries.id, prediction_id, deliveries.account, host, webhook as url, webhook_private as private, body,
        attempts`.execute(kysely);
    const claimed = rows.map((row) => ({ ...row, attempts: Number(row.attempts) }));
    // By what ran when the question was asked: some of it has ended since.
    const after = [...before, ...claimed];
    const reaches =
      (most: number) =>
      ([, count]: [string, number]) =>
        count >= most;
    fullReceivers = new Set([...countBy(after, receiverOf)].filter(reaches(mostPerHost)).map(([name]) => name));
    isShareUsedUp = [...countBy(after, ({ account }) => account)].some(reaches(mostAtOnce - after.length - 1));
    return claimed;
  };

  const send = async (claimed: Claimed): Promise<void> => {
    const { id, account, url, body, attempts } = claimed;
    const startedAt = new Date();
    const begun = performance.now();
    try {
      const webhook = { url, allowPrivate: claimed.private };
      const { status, error } = await post({ id, account, webhook, body }, closing.signal);
      const seconds = (performance.now() - begun) / 1000;
      await record(claimed, { startedAt, seconds, status, error });
      const what = error === undefined ? 'a webhook was delivered' : 'a webhook was not received';
      log.debug({ delivery: id, prediction: claimed.prediction_id, attempt: attempts, status, error }, what);
    } catch (error) {
      // What cannot be written down is sent again when the lease is over.
      if (closing.signal.aborted) await release(claimed).catch(() => {});
      else log.warn({ delivery: id, error: (error as Error).message }, 'an attempt to deliver a webhook broke');
    } finally {
      running.delete(claimed);
      if (isShareUsedUp || fullReceivers.has(receiverOf(claimed))) setImmediate(look);
    }
  };

  const record = async (
    { id, attempts }: Claimed,
    attempt: { startedAt: Date; seconds: number; status: number | undefined; error: string | undefined },
  ): Promise<void> => {
    const { startedAt, seconds, status = null, error = null } = attempt;
    const now = sql`clock_timestamp()`;
    // As long again as since the first attempt: the pauses double. The last attempt is at the end of the time.
    const pause = sql`greatest(${milliseconds(timing.firstPauseMs)},
      least(${milliseconds(timing.longestPauseMs)}, ${now} - (give_up_at - ${milliseconds(giveUpMs)})))`;
    const next =
      error === null
        ? sql`null::timestamptz`
        : sql`case when give_up_at > ${now} then least(give_up_at, ${now} + ${pause}) end`;
    await sql`
      with result as (
        update deliveries set
          next_attempt_at = ${next},
          delivered_at = ${error === null ? now : sql`delivered_at`}
        where id = ${id} and attempts = ${attempts}
      )
      insert into delivery_attempts (delivery_id, started_at, seconds, status, error)
      values (${id}, ${startedAt}, ${seconds}, ${status}, ${error})`.execute(kysely);
  };

  const release = async ({ id, attempts }: Claimed): Promise<void> => {
    await sql`update deliveries set next_attempt_at = clock_timestamp()
      where id = ${id} and attempts = ${attempts} and next_attempt_at is not null`.execute(kysely);
  };

  const stopListening = database.listen(deliveriesWaiting, look);
  const timer = setInterval(look, timing.lookMs);
  // Nobody else is on an embedded database: what a process that was killed had taken up is free.
  const freed =
    database.kind === 'pglite'
      ? sql`update deliveries set next_attempt_at = clock_timestamp() where next_attempt_at is not null`.execute(kysely)
      : Promise.resolve();
  freed.then(look, (error: Error) => log.warn({ error: error.message }, 'webhooks of an earlier process have to wait'));

  return {
    async close() {
      closed = true;
      clearInterval(timer);
      stopListening();
      await freed.catch(() => {});
      await looking;
      const grace = setTimeout(() => closing.abort(), timing.graceMs);
      await Promise.all(underWay);
      clearTimeout(grace);
    },
  };
}

/** One account's way to one host; neither name holds a space. */
function receiverOf({ account, host }: Claimed): string {
  return `${account} ${host}`;
}

function countBy<Item>(items: readonly Item[], nameOf: (item: Item) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1);
  return counts;
}

function milliseconds(count: number) {
  return sql`${count}::double precision * interval '1 millisecond'`;
}
