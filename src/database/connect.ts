import type { Logger } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type { Database } from './database.ts';
import { migrate } from './migrate.ts';
import { openPglite } from './pglite.ts';
import { openPostgres } from './postgres.ts';

/**
 * Opens the database that the settings name and brings its tables up to date.
 *
 * @throws SettingsError when it cannot be opened: a wrong address, or another process holds the folder
 */
export async function openDatabase(settings: Pick<Settings, 'home' | 'databaseUrl'>, log: Logger): Promise<Database> {
  const database = settings.databaseUrl
    ? await openPostgres(settings.databaseUrl, log)
    : await openPglite(settings.home, log);
  try {
    await migrate(database.kysely);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}
