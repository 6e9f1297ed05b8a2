import { sql } from 'kysely';
import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import { advance } from './advance.ts';
import { announceCancel } from './announce-end.ts';

/** How often deadlines are looked for. Nobody sets one that is nearer, so each is known before it comes. */
const lookMs = 2_000;
/** How many are read at once; the others follow at once. */
const batch = 100;

/**
 * Ends predictions at their deadlines. Every process with the database does it, so deadlines hold as long as one of
 * them lives, and those that passed while none did are kept when the next one starts.
 */
export function startDeadlines(database: Database, log: Logger): { close(): Promise<void> } {
  let closing = false;
  let timer: NodeJS.Timeout | undefined;
  let looking = Promise.resolve();
  const look = async (): Promise<number> => {
    const near = await readNear(database);
    for (const { id } of near.filter(({ ms }) => ms <= 0)) {
      if (!closing) await pass(database, id);
    }
    const next = near.find(({ ms }) => ms > 0);
    if (next) return Math.floor(next.ms) + 1;
    return near.length === batch ? 0 : lookMs;
  };
  const lookAgain = (delay: number): void => {
    if (closing) return;
    timer = setTimeout(() => {
      looking = look()
        .catch((error: Error) => {
          log.warn({ error: error.message }, 'deadlines could not be looked for; trying again');
          return lookMs;
        })
        .then(lookAgain);
    }, delay);
    timer.unref();
  };
  lookAgain(0);
  return {
    async close() {
      closing = true;
      clearTimeout(timer);
      await looking;
    },
  };
}

/** Deadlines that have passed or come before the next look, the first ones first. */
async function readNear({ kysely }: Database): Promise<{ id: string; ms: number }[]> {
  return kysely
    .selectFrom('predictions')
    .select('id')
    .select(sql<number>`(extract(epoch from deadline - clock_timestamp()) * 1000)::float8`.as('ms'))
    .where('deadline', '<=', sql<Date>`clock_timestamp() + ${lookMs} * interval '1 millisecond'`)
    .where('cancel_requested_at', 'is', null)
    .where('status', 'in', ['starting', 'processing'])
    .orderBy('deadline')
    .limit(batch)
    .execute();
}

async function pass(database: Database, id: string): Promise<void> {
  const passed = await database.kysely
    .transaction()
    .execute((transaction) => advance(transaction, id, { type: 'deadlinePassed' }));
  if (passed?.changed) announceCancel(database, passed.prediction);
}
