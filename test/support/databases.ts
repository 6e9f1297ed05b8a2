import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isPostgresAvailable, startPostgres, type TestPostgres } from './postgres.ts';

export type DatabaseKind = 'PGlite' | 'PostgreSQL';

/** For `describe.each`: the same test bodies run on every database that is here. */
export function databaseKinds(): DatabaseKind[] {
  return isPostgresAvailable() ? ['PGlite', 'PostgreSQL'] : ['PGlite'];
}

/** A data folder and, for PostgreSQL, an empty database; both are gone after `remove`. */
export interface TestPlace {
  home: string;
  databaseUrl: string | undefined;
  remove(): Promise<void>;
}

export async function makePlace(kind: DatabaseKind): Promise<TestPlace> {
  const home = mkdtempSync(join(tmpdir(), 'darkroom-test-'));
  let postgres: TestPostgres | undefined;
  if (kind === 'PostgreSQL') postgres = await startPostgres();
  return {
    home,
    databaseUrl: await postgres?.createDatabase(),
    async remove() {
      await postgres?.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
