import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseKinds, makeEmptyPlace, type TestPlace } from '../../test/support/databases.ts';
import { dumpSchema } from '../../test/support/dump-schema.ts';
import { SettingsError } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import { openDatabase } from './connect.ts';

const log = createLog('silent');
const schemaFile = new URL('./schema.sql', import.meta.url);

describe.each(databaseKinds())('database on %s', (kind) => {
  let place: TestPlace;
  beforeAll(async () => {
    place = await makeEmptyPlace(kind);
  });
  afterAll(async () => {
    await place?.remove();
  });

  it('has the schema of schema.sql, at the first opening and at the second', async () => {
    for (let opening = 0; opening < 2; opening++) {
      const database = await openDatabase(place, log);
      const schema = await dumpSchema(database.kysely);
      await database.close();
      if (process.env.UPDATE_SCHEMA) writeFileSync(schemaFile, schema);
      expect(schema).toBe(readFileSync(schemaFile, 'utf8'));
    }
  });

  it('undoes what a transaction did when a part of it fails', async () => {
    const database = await openDatabase(place, log);
    const { kysely } = database;
    const failing = kysely.transaction().execute(async (transaction) => {
      await transaction.insertInto('hosts').values({ id: 'one' }).execute();
      await transaction.insertInto('hosts').values({ id: 'one' }).execute();
    });
    // Meanwhile somebody else asks; on one connection that must not land in the transaction.
    const beside = kysely.insertInto('hosts').values({ id: 'two' }).execute();
    await expect(failing).rejects.toThrow(/duplicate key/);
    await beside;
    expect(await kysely.selectFrom('hosts').select('id').execute()).toEqual([{ id: 'two' }]);
    await database.close();
  });

  it('refuses a database that a newer version made', async () => {
    const database = await openDatabase(place, log);
    await sql`insert into migrations (name) values ('9999-future.sql')`.execute(database.kysely);
    await database.close();
    const opening = openDatabase(place, log);
    await expect(opening).rejects.toThrow(/newer version of Darkroom \(it has the migration 9999-future\.sql\)/);
    await expect(opening).rejects.toBeInstanceOf(SettingsError);
  });
});

describe('openDatabase', () => {
  it('says what to do when PostgreSQL does not answer, without the password', async () => {
    const databaseUrl = 'postgresql://ada:secret@127.0.0.1:9/none';
    const error = await openDatabase({ home: '/nowhere', databaseUrl }, log).catch((reason: Error) => reason);
    expect(error).toBeInstanceOf(SettingsError);
    expect((error as Error).message).toMatch(/^PostgreSQL at 127\.0\.0\.1:9 cannot be used: .*DATABASE_URL/);
    expect((error as Error).message).not.toContain('secret');
  });

  it('says what to do when the data folder cannot be made', async () => {
    await expect(openDatabase({ home: '/dev/null/x', databaseUrl: undefined }, log)).rejects.toThrow(
      /^The data folder \/dev\/null\/x cannot be made \(ENOTDIR\)\. Name another with DARKROOM_HOME\.$/,
    );
  });

  it('starts afresh when a process was killed while it made the database', async () => {
    const place = await makeEmptyPlace('PGlite');
    await mkdir(join(place.home, 'database.new', 'base'), { recursive: true });
    const database = await openDatabase(place, log);
    await database.close();
    await place.remove();
  });
});
