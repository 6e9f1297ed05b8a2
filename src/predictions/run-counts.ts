import { sql } from 'kysely';
import type { Database } from '../database/database.ts';
import { firstIdOf } from './id.ts';

/** How old an answer may be. */
const freshMs = 2_000;

/**
 * How far behind the newest prediction those lie that are counted for good: none older can still be on its way into the
 * database, from a transaction that takes long or a machine whose clock is behind.
 */
const settlingMs = 10 * 60_000;

/**
 * How often each model ran, by `owner/name`.
 *
 * All predictions are counted once a process, when somebody first asks; afterwards those alone that have come since. They
 * are found by their ids, which begin with the time.
 */
export function createRunCounts({ kysely }: Pick<Database, 'kysely'>): () => Promise<ReadonlyMap<string, number>> {
  const settled = new Map<string, number>();
  let settledBefore = '';
  /** `at` is when it was there; one that is still being counted is shared: two at once would count the same rows twice. */
  let latest: { counts: Promise<ReadonlyMap<string, number>>; at: number } | undefined;

  const count = async (): Promise<ReadonlyMap<string, number>> => {
    const until = firstIdOf(Date.now() - settlingMs);
    const rows = await kysely
      .selectFrom('predictions')
      .select(({ fn }) => ['model', fn.countAll<string | number>().as('runs')])
      .select(sql<boolean>`id < ${until}`.as('old'))
      .where('id', '>=', settledBefore)
      .groupBy(['model', 'old'])
      .execute();
    for (const { model, runs } of rows.filter(({ old }) => old)) add(settled, model, Number(runs));
    settledBefore = until;
    const all = new Map(settled);
    for (const { model, runs } of rows.filter(({ old }) => !old)) add(all, model, Number(runs));
    return all;
  };

  return () => {
    if (latest && performance.now() - latest.at < freshMs) return latest.counts;
    const now = { counts: count(), at: Number.POSITIVE_INFINITY };
    latest = now;
    now.counts.then(
      () => {
        now.at = performance.now();
      },
      // After a failure the next one who asks tries again.
      () => {
        latest = undefined;
      },
    );
    return now.counts;
  };
}

function add(counts: Map<string, number>, model: string, runs: number): void {
  counts.set(model, (counts.get(model) ?? 0) + runs);
}
