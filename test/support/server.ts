import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { type Accounts, openAccounts } from '../../src/accounts/accounts.ts';
import { readSettings, type Settings } from '../../src/base/settings.ts';
import { loadModels } from '../../src/catalog/list.ts';
import { openDatabase } from '../../src/database/connect.ts';
import type { Database } from '../../src/database/database.ts';
import { channels } from '../../src/predictions/channels.ts';
import { startHost } from '../../src/predictions/host.ts';
import { removeOldData } from '../../src/predictions/retention.ts';
import { createPredictions, type PredictionStore } from '../../src/predictions/store.ts';
import { createApp } from '../../src/server/app.ts';
import { createLocalFileStore } from '../../src/storage/local-files.ts';
import { removeExpired, removeOrphans } from '../../src/uploads/sweep.ts';
import { createUploads } from '../../src/uploads/uploads.ts';
import { startWebhooks } from '../../src/webhooks/webhooks.ts';
import { makePlace } from './databases.ts';
import { waitUntil } from './wait-until.ts';

export const testModels = fileURLToPath(new URL('./models/', import.meta.url));

/** What `darkroom token` would find in the data folder. */
export const testAdministrationKey = 'administration-key-of-the-tests';

export interface TestServer {
  /** `http://127.0.0.1:<port>`. */
  origin: string;
  port: number;
  home: string;
  accounts: Accounts;
  /** What the routes answer: methods by address. */
  answered: ReadonlyMap<string, readonly string[]>;
  predictions: PredictionStore;
  database: Database;
  /** Everything that was logged so far. */
  log(): string;
  /** What retention does, at once and with everything that has ended. */
  removeData(): Promise<void>;
  /** What the sweep does, at once and with bytes of every age unless given. @returns how much of each it removed */
  sweep(ageMs?: number): Promise<{ expired: number; orphans: number }>;
  /** May be called twice. */
  close(): Promise<void>;
}

/**
 * The real server with the real queue and a real engine, in this process, on a port of its own; on the database that
 * `vitest.config.ts` names, unless the test chooses.
 */
export async function startTestServer(overrides: Partial<Settings> = {}): Promise<TestServer> {
  // Without limits, unless a test is about them: tests ask faster than people.
  const limits = { DARKROOM_RATE_CREATES: '0', DARKROOM_RATE_REQUESTS: '0' };
  const onPostgres = process.env.DARKROOM_TEST_DATABASE === 'PostgreSQL' && !overrides.databaseUrl;
  const place = await makePlace(onPostgres ? 'PostgreSQL' : 'PGlite');
  const { home } = place;
  const environment = { DARKROOM_HOME: home, DARKROOM_MODELS: testModels, ...limits };
  const settings = { ...readSettings(environment), databaseUrl: place.databaseUrl, ...overrides };
  let logged = '';
  const sink = new Writable({
    write(chunk, _encoding, done) {
      logged += chunk;
      done();
    },
  });
  const log = pino({ level: 'debug' }, sink);
  const models = await loadModels(settings.modelFolders);
  const database = await openDatabase(settings, log);
  const files = createLocalFileStore(join(home, 'files'));
  const accounts = await openAccounts(database, settings, log);
  const predictions = await createPredictions(database, log);
  const webhooks = startWebhooks({ database, secrets: accounts, settings, log });
  const host = await startHost({
    database,
    predictions,
    webhooks,
    files,
    models,
    settings,
    log,
    environment: { ...process.env, ...environment, DARKROOM_MODELS: settings.modelFolders.join() },
  });
  const parts = {
    settings,
    accounts,
    administrationKey: testAdministrationKey,
    models,
    predictions,
    webhooks,
    files,
    uploads: createUploads({ database, files, accounts, settings }),
    log,
  };
  const app = createApp({ ...parts, ready: async () => [] });
  await app.listen({ host: settings.host, port: 0 });
  const { port } = app.server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await app.close();
    await host.close(0);
    await webhooks.close();
    await predictions.close();
    accounts.close();
    await database.close();
    await place.remove();
  };
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    home,
    accounts,
    predictions,
    database,
    answered: (app as unknown as Pick<TestServer, 'answered'>).answered,
    log: () => logged,
    async removeData() {
      let heard = 0;
      // The server listened first: once this hears of a removal, the server has too.
      const stopListening = database.listen(channels.removed, () => heard++);
      const removed = await removeOldData({ database, files }, 0);
      await waitUntil('the server hears of all removals', () => heard >= removed);
      stopListening();
    },
    sweep: async (ageMs = -1000) => ({
      expired: await removeExpired({ database, files }),
      orphans: await removeOrphans({ database, files, log }, ageMs),
    }),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
