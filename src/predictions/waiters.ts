import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import { channels } from './channels.ts';

/** How often the database is asked about all that is waited for, in case a message was lost. */
const lookMs = 2_000;

/** Callers that wait for predictions to end; any number of them cost one listener and one slow query. */
export interface Waiters {
  /** Waits until the prediction has ended, at most `timeoutMs`; `stop` ends the wait at once. */
  wait(id: string, timeoutMs: number): { ended: Promise<void>; stop(): void };
  /** Ends every wait, those to come too. */
  close(): void;
}

export function createWaiters(database: Database, log: Logger): Waiters {
  let closed = false;
  const waiting = new Map<string, Set<() => void>>();
  const wake = (id: string): void => {
    for (const stop of [...(waiting.get(id) ?? [])]) stop();
  };
  const look = async (): Promise<void> => {
    if (waiting.size === 0) return;
    const ended = await database.kysely
      .selectFrom('predictions')
      .select('id')
      .where('id', 'in', [...waiting.keys()])
      .where('completed_at', 'is not', null)
      .execute();
    for (const { id } of ended) wake(id);
  };
  const stopListening = database.listen(channels.ended, wake);
  const timer = setInterval(() => {
    look().catch((error: Error) => log.warn({ error: error.message }, 'waiting callers could not be served'));
  }, lookMs);
  timer.unref();

  return {
    wait(id, timeoutMs) {
      let resolve!: () => void;
      const ended = new Promise<void>((resolveEnded) => {
        resolve = resolveEnded;
      });
      const stop = (): void => {
        clearTimeout(timeout);
        const others = waiting.get(id);
        others?.delete(stop);
        if (others?.size === 0) waiting.delete(id);
        resolve();
      };
      const timeout = setTimeout(stop, closed ? 0 : timeoutMs);
      waiting.set(id, (waiting.get(id) ?? new Set()).add(stop));
      return { ended, stop };
    },
    close() {
      closed = true;
      stopListening();
      clearInterval(timer);
      for (const id of [...waiting.keys()]) wake(id);
    },
  };
}
