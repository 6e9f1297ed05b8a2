import type { Kysely, Transaction } from 'kysely';
import type { Db } from 'pg-boss';
import type { Tables } from './tables.ts';

export type Queries = Kysely<Tables> | Transaction<Tables>;

/** One SQL database, embedded or PostgreSQL: everything above this folder is the same on both. */
export interface Database {
  kind: 'pglite' | 'postgres';
  kysely: Kysely<Tables>;
  /** The same connection(s) as pg-boss wants them. */
  bossDb: Db;
  /**
   * Calls `heard` for each message on the channel, from this process or another. A message is a hint, never the
   * truth: one may be lost when a connection breaks, so whoever listens also looks now and then.
   */
  listen(channel: string, heard: (payload: string) => void): () => void;
  /**
   * Resolves once every channel asked for so far is heard: a database on another machine hears of `listen` a little
   * later than the call returns.
   */
  listening(): Promise<void>;
  /** Sends a message once the work before it is committed; messages that come together travel together. */
  notify(channel: string, payload: string): void;
  /**
   * Holds a lock on the name for as long as this process lives and is connected, so that others can see it end. It is
   * held when this resolves; where the connection breaks, the next one takes it up again. Returns how to let go.
   */
  holdSession(name: string): Promise<() => Promise<void>>;
  /** Whether nobody holds the name any more. */
  isSessionGone(name: string): Promise<boolean>;
  close(): Promise<void>;
}
