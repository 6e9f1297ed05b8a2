import { Kysely, PostgresDialect, sql } from 'kysely';
import { Pool } from 'pg';
import { SettingsError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Database } from './database.ts';
import { openSession } from './postgres-session.ts';
import type { Tables } from './tables.ts';

/** Connects to PostgreSQL. @throws SettingsError without the password when it does not answer */
export async function openPostgres(url: string, log: Logger): Promise<Database> {
  const pool = new Pool({
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: 10_000,
    application_name: 'darkroom',
  });
  // A connection that breaks is replaced at the next query. Without listeners its error would end the process: the
  // pool's own is for idle connections, a transaction has its connection to itself.
  pool.on('error', (error) => log.warn({ error: error.message }, 'an idle database connection was lost'));
  pool.on('connect', (client) => {
    client.on('error', (error) => log.debug({ error: error.message }, 'a database connection was lost'));
  });
  const session = await openSession(url, log).catch(async (error: Error) => {
    await pool.end();
    throw new SettingsError(
      `PostgreSQL at ${placeOf(url)} cannot be used: ${error.message || (error as NodeJS.ErrnoException).code}. ` +
        'Start it or correct DATABASE_URL; without DATABASE_URL the embedded database is used.',
    );
  });
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const outgoing = createOutgoing(async (channels, payloads) => {
    await pool.query('select pg_notify(channel, payload) from unnest($1::text[], $2::text[]) as m (channel, payload)', [
      channels,
      payloads,
    ]);
  }, log);
  return {
    kind: 'postgres',
    kysely,
    bossDb: { executeSql: (text, values) => pool.query(text, values) },
    listen: session.listen,
    listening: session.listening,
    notify: outgoing.add,
    holdSession: session.hold,
    async isSessionGone(name) {
      const { rows } = await sql<{ gone: boolean }>`
        select pg_try_advisory_xact_lock(hashtextextended(${name}, 0)) as gone`.execute(kysely);
      return rows[0]!.gone;
    },
    async close() {
      await outgoing.drain();
      await session.close();
      await kysely.destroy();
    },
  };
}

/**
 * Collects messages while a statement that sends earlier ones is under way. PostgreSQL commits notifying
 * transactions one after the other, so one NOTIFY per prediction would limit how fast predictions are accepted.
 */
function createOutgoing(send: (channels: string[], payloads: string[]) => Promise<void>, log: Logger) {
  let waiting = new Map<string, [channel: string, payload: string]>();
  let sending: Promise<void> | undefined;
  const sendAll = async (): Promise<void> => {
    while (waiting.size > 0) {
      const messages = [...waiting.values()];
      waiting = new Map();
      await send(
        messages.map(([channel]) => channel),
        messages.map(([, payload]) => payload),
      ).catch((error: Error) => log.warn({ error: error.message }, 'a database message was lost'));
    }
    sending = undefined;
  };
  return {
    add(channel: string, payload: string): void {
      waiting.set(`${channel} ${payload}`, [channel, payload]);
      sending ??= new Promise<void>((resolve) => setImmediate(resolve)).then(sendAll);
    },
    drain: async (): Promise<void> => sending,
  };
}

function placeOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host || 'a local socket' : 'the address in DATABASE_URL';
}
