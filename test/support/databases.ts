import { mkdtempSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shareMiniSet } from './mini-set.ts';
import { once } from './once.ts';
import { createTestDatabase, isPostgresAvailable } from './postgres.ts';

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

/** As after a first start, which takes seconds: the embedded database is there, and the mini set that others wrote. */
export async function makePlace(kind: DatabaseKind): Promise<TestPlace> {
  const place = await makeEmptyPlace(kind);
  if (kind === 'PGlite') await addDatabase(place.home);
  shareMiniSet(place.home);
  return place;
}

/** Puts an embedded database that holds nothing yet into a data folder. */
export async function addDatabase(home: string): Promise<void> {
  await cp(await freshDatabase(), join(home, 'database'), { recursive: true });
}

/** Where even the embedded database has still to be made. */
export async function makeEmptyPlace(kind: DatabaseKind): Promise<TestPlace> {
  const home = mkdtempSync(join(tmpdir(), 'darkroom-test-'));
  const database = kind === 'PostgreSQL' ? await createTestDatabase() : undefined;
  return {
    home,
    databaseUrl: database?.url,
    async remove() {
      await database?.remove();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** As the first start of a server leaves it. */
function freshDatabase(): Promise<string> {
  return once('database', async (path) => {
    const { createLog } = await import('../../src/base/log.ts');
    const { openDatabase } = await import('../../src/database/connect.ts');
    const { openTickets } = await import('../../src/predictions/tickets.ts');
    const log = createLog('silent');
    const database = await openDatabase({ home: join(path, '..'), databaseUrl: undefined }, log);
    const tickets = await openTickets(database, log);
    await tickets.close();
    await database.close();
  });
}
