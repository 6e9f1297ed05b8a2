import { Client } from 'pg';
import type { Logger } from '../base/log.ts';
import { createListeners } from './messages.ts';

const firstRetryMs = 100;
const longestRetryMs = 5_000;
/** How long PostgreSQL may take to let a connection in: one that accepts it and says nothing would be waited for for ever. */
const connectMs = 30_000;

/** One connection that stays: it hears notifications and holds the locks that tell others that we live. */
export interface Session {
  listen(channel: string, heard: (payload: string) => void): () => void;
  /** Resolves once every channel that was asked for is heard, on the next connection where this one breaks. */
  listening(): Promise<void>;
  /** Resolves once the lock is held, on the next connection where this one breaks. */
  hold(name: string): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

interface Connection {
  client: Client;
  listens: Set<string>;
  holds: Set<string>;
  /** Whether it is brought to what is asked for. */
  isSettling: boolean;
}

/** Connects, and connects again with growing pauses whenever the connection breaks. The first failure is thrown. */
export async function openSession(url: string, log: Logger): Promise<Session> {
  const listeners = createListeners();
  const held = new Set<string>();
  const waiting = new Set<{ isDone(): boolean; resolve(): void }>();
  let connection: Connection | undefined;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;
  let retryMs = firstRetryMs;

  const connect = async (): Promise<void> => {
    const client = new Client({
      connectionString: url,
      connectionTimeoutMillis: connectMs,
      application_name: 'darkroom session',
      keepAlive: true,
    });
    const next: Connection = { client, listens: new Set(), holds: new Set(), isSettling: false };
    client.on('error', () => lost(next));
    client.on('end', () => lost(next));
    client.on('notification', ({ channel, payload }) => listeners.tell(channel, payload ?? ''));
    try {
      await client.connect();
    } catch (error) {
      await client.end().catch(() => {});
      throw error;
    }
    if (closed) return client.end();
    connection = next;
    await settle();
  };

  /** Has the connection listen and lock as is asked for, also what is asked for meanwhile: one statement at a time. */
  const settle = async (): Promise<void> => {
    const now = connection;
    if (!now || now.isSettling) return;
    now.isSettling = true;
    try {
      for (let next = nextStep(now); next; next = nextStep(now)) {
        await next();
        tell();
      }
    } catch {
      // It is gone, or of no use; the next one is asked for everything again.
      lost(now);
      return;
    }
    now.isSettling = false;
    retryMs = firstRetryMs;
  };

  const nextStep = ({ client, listens, holds }: Connection): (() => Promise<unknown>) | undefined => {
    const channel = listeners.channels().find((wanted) => !listens.has(wanted));
    if (channel !== undefined) {
      return () => client.query(`listen "${channel}"`).then(() => listens.add(channel));
    }
    const unwanted = [...holds].find((name) => !held.has(name));
    if (unwanted !== undefined) {
      const unlock = 'select pg_advisory_unlock(hashtextextended($1, 0))';
      return () => client.query(unlock, [unwanted]).then(() => holds.delete(unwanted));
    }
    const name = [...held].find((wanted) => !holds.has(wanted));
    if (name === undefined) return undefined;
    return () => client.query('select pg_advisory_lock(hashtextextended($1, 0))', [name]).then(() => holds.add(name));
  };

  const lost = (which: Connection): void => {
    if (which !== connection) return;
    connection = undefined;
    // An error need not be its end.
    which.client.end().catch(() => {});
    tell();
    if (closed) return;
    log.warn('the connection for database messages was lost; connecting again');
    reconnect();
  };

  const reconnect = (): void => {
    if (closed) return;
    const back = (): void => log.info('the connection for database messages is back');
    retry = setTimeout(() => connect().then(() => connection && back(), reconnect), retryMs);
    retryMs = Math.min(retryMs * 2, longestRetryMs);
  };

  const until = (isDone: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      waiting.add({ isDone, resolve });
      tell();
      void settle();
    });
  const tell = (): void => {
    for (const one of waiting) {
      if (!closed && !one.isDone()) continue;
      waiting.delete(one);
      one.resolve();
    }
  };

  await connect();
  return {
    listen(channel, heard) {
      const stop = listeners.add(channel, heard);
      void settle();
      return stop;
    },
    listening: () => until(() => listeners.channels().every((channel) => connection?.listens.has(channel))),
    async hold(name) {
      held.add(name);
      await until(() => connection?.holds.has(name) === true);
      return () => {
        held.delete(name);
        // Without a connection nobody holds it.
        return until(() => !connection?.holds.has(name));
      };
    },
    async close() {
      closed = true;
      clearTimeout(retry);
      tell();
      await connection?.client.end().catch(() => {});
    },
  };
}
