import { Client } from 'pg';
import type { Logger } from '../base/log.ts';
import { createListeners } from './messages.ts';

const firstRetryMs = 100;
const longestRetryMs = 5_000;

/** One connection that stays: it hears notifications and holds the locks that tell others that we live. */
export interface Session {
  listen(channel: string, heard: (payload: string) => void): () => void;
  /** Resolves once every channel that was asked for is heard, or the connection that should hear it is gone. */
  listening(): Promise<void>;
  hold(name: string): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** Connects, and connects again with growing pauses whenever the connection breaks. The first failure is thrown. */
export async function openSession(url: string, log: Logger): Promise<Session> {
  const listeners = createListeners();
  const held = new Set<string>();
  let client: Client | undefined;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;

  const connect = async (): Promise<void> => {
    const next = new Client({ connectionString: url, application_name: 'darkroom session', keepAlive: true });
    next.on('error', () => lost(next));
    next.on('end', () => lost(next));
    next.on('notification', ({ channel, payload }) => listeners.tell(channel, payload ?? ''));
    try {
      await next.connect();
      await takeUp(next);
      if (closed) return next.end();
    } catch (error) {
      await next.end().catch(() => {});
      throw error;
    }
  };

  /** Listens and locks as before; what is asked for meanwhile is taken up too, up to where the connection is in use. */
  const takeUp = async (next: Client): Promise<void> => {
    const done = new Set<string>();
    for (;;) {
      const channel = listeners.channels().find((wanted) => !done.has(`channel ${wanted}`));
      const name = [...held].find((wanted) => !done.has(`name ${wanted}`));
      if (channel !== undefined) {
        await next.query(`listen "${channel}"`);
        done.add(`channel ${channel}`);
      } else if (name !== undefined) {
        await next.query(lockSql, [name]);
        done.add(`name ${name}`);
      } else {
        client = next;
        return;
      }
    }
  };

  const lost = (which: Client): void => {
    if (which !== client || closed) return;
    client = undefined;
    log.warn('the connection for database messages was lost; connecting again');
    reconnect(firstRetryMs);
  };

  const reconnect = (delay: number): void => {
    retry = setTimeout(() => {
      connect().then(
        () => log.info('the connection for database messages is back'),
        () => closed || reconnect(Math.min(delay * 2, longestRetryMs)),
      );
    }, delay);
  };

  /** One statement after the other, as `pg` wants them on one connection. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = async (statement: string, values: unknown[] = []): Promise<void> => {
    const result = turn.then(() => client?.query(statement, values));
    turn = result.catch(() => {});
    await result;
  };

  await connect();
  return {
    listen(channel, heard) {
      const stop = listeners.add(channel, heard);
      // A failure means that the connection breaks; the next one listens to every channel.
      inTurn(`listen "${channel}"`).catch(() => {});
      return stop;
    },
    listening: async () => void (await turn),
    async hold(name) {
      held.add(name);
      await inTurn(lockSql, [name]);
      return async () => {
        held.delete(name);
        await inTurn('select pg_advisory_unlock(hashtextextended($1, 0))', [name]);
      };
    },
    async close() {
      closed = true;
      clearTimeout(retry);
      await client?.end().catch(() => {});
    },
  };
}

const lockSql = 'select pg_advisory_lock(hashtextextended($1, 0))';
