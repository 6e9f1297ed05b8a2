import type { PGlite } from '@electric-sql/pglite';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely';

/** Kysely over PGlite. There is one session, so whoever has the connection (a transaction, say) has it alone. */
export function pgliteDialect(client: PGlite): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createIntrospector: (database: Kysely<unknown>) => new PostgresIntrospector(database),
    createDriver: () => pgliteDriver(client),
  };
}

function pgliteDriver(client: PGlite): Driver {
  const connection: DatabaseConnection = {
    executeQuery: (query) => execute(client, query),
    streamQuery: () => {
      throw new Error('PGlite has no cursors; read pages by key instead.');
    },
  };
  let free: Promise<void> = Promise.resolve();
  let release: (() => void) | undefined;
  const raw = async (text: string): Promise<void> => void (await execute(client, CompiledQuery.raw(text)));
  return {
    async init() {
      await client.waitReady;
    },
    async acquireConnection() {
      const before = free;
      let done!: () => void;
      free = new Promise((resolve) => {
        done = resolve;
      });
      await before;
      release = done;
      return connection;
    },
    async releaseConnection() {
      release?.();
    },
    beginTransaction: () => raw('begin'),
    commitTransaction: () => raw('commit'),
    rollbackTransaction: () => raw('rollback'),
    destroy: () => client.close(),
  };
}

/** Without parameters a text may hold several statements; the rows of all of them come back, as with `pg`. */
async function execute<Row>(client: PGlite, query: CompiledQuery): Promise<QueryResult<Row>> {
  if (query.parameters.length === 0) {
    const results = await client.exec(query.sql);
    return withCount(
      results.flatMap((result) => result.rows as Row[]),
      results.at(-1)?.affectedRows,
    );
  }
  const result = await client.query<Row>(query.sql, [...query.parameters]);
  return withCount(result.rows, result.affectedRows);
}

function withCount<Row>(rows: Row[], affected: number | undefined): QueryResult<Row> {
  return affected === undefined ? { rows } : { rows, numAffectedRows: BigInt(affected) };
}
