import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createSecrets } from '../../src/accounts/secrets.ts';
import { createLog } from '../../src/base/log.ts';
import { readSettings, type Settings } from '../../src/base/settings.ts';
import { loadModels } from '../../src/catalog/list.ts';
import { openDatabase } from '../../src/database/connect.ts';
import type { Database } from '../../src/database/database.ts';
import { type Host, type HostOptions, startHost } from '../../src/predictions/host.ts';
import type { Prediction } from '../../src/predictions/prediction.ts';
import type { NewPrediction } from '../../src/predictions/predictions.ts';
import { createPredictions, type PredictionStore } from '../../src/predictions/store.ts';
import type { FileStore } from '../../src/storage/files.ts';
import { createLocalFileStore } from '../../src/storage/local-files.ts';
import { startWebhooks, type Webhooks } from '../../src/webhooks/webhooks.ts';
import { type DatabaseKind, makePlace } from './databases.ts';
import { waitUntil } from './wait-until.ts';

export const testModels = fileURLToPath(new URL('./models/', import.meta.url));

/** A database, stored files and the test models, without a running host. */
export interface HostSetup {
  home: string;
  database: Database;
  predictions: PredictionStore;
  webhooks: Webhooks;
  files: FileStore;
  settings: Settings;
  startHost(changes?: Partial<Settings>, options?: Partial<HostOptions>): Promise<Host>;
  create(model: string, input: Record<string, unknown>, changes?: Partial<NewPrediction>): Promise<Prediction>;
  /** The prediction once it has ended. */
  end(id: string): Promise<Prediction>;
  /** The prediction once it is as wanted. */
  until(id: string, what: string, is: (prediction: Prediction) => boolean): Promise<Prediction>;
  /** Keys of all files whose bytes are stored. */
  storedKeys(): string[];
  close(): Promise<void>;
}

export async function setUpHost(kind: DatabaseKind): Promise<HostSetup> {
  const place = await makePlace(kind);
  const log = createLog(process.env.DARKROOM_TEST_LOG ? 'debug' : 'silent');
  const settings = readSettings({
    DARKROOM_HOME: place.home,
    DATABASE_URL: place.databaseUrl,
    DARKROOM_MODELS: testModels,
    DARKROOM_CANCEL_GRACE: '400ms',
  });
  const models = await loadModels(settings.modelFolders);
  const database = await openDatabase(settings, log);
  const predictions = await createPredictions(database, log);
  const webhooks = startWebhooks({ database, secrets: createSecrets(database), settings, log });
  const folder = join(settings.home, 'files');
  const files = createLocalFileStore(folder);
  const hosts: Host[] = [];
  const environment = { ...process.env, DARKROOM_HOME: place.home, DARKROOM_MODELS: testModels };

  const until: HostSetup['until'] = (id, what, is) =>
    waitUntil(what, async () => {
      const prediction = await predictions.get('ada', id);
      return prediction && is(prediction) ? prediction : undefined;
    });

  return {
    home: place.home,
    database,
    predictions,
    webhooks,
    files,
    settings,
    async startHost(changes = {}, options = {}) {
      // However long this process stands still, none of its hosts takes another for dead.
      const timing = { beatMs: 100, confirmMs: 300, lapseMs: 600_000 };
      const changed = { ...settings, ...changes };
      const base = { database, predictions, webhooks, files, models, settings: changed, log, environment, timing };
      const host = await startHost({ ...base, ...options });
      hosts.push(host);
      return host;
    },
    create: (model, input, changes = {}) =>
      predictions.create({
        account: 'ada',
        model,
        version: models.find(({ owner, name }) => `${owner}/${name}` === model)?.version ?? '0'.repeat(64),
        input,
        source: 'api',
        origin: 'http://127.0.0.1:5000',
        inputFiles: [],
        ...changes,
      }),
    async end(id) {
      const prediction = await predictions.waitForEnd(id, 30_000);
      if (!prediction?.completedAt) throw new Error(`Not ended within 30 s: ${JSON.stringify(prediction)}`);
      return prediction;
    },
    until,
    storedKeys: () =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => entry.name),
    async close() {
      for (const host of hosts) await host.close(0);
      await webhooks.close();
      await predictions.close();
      await database.close();
      await place.remove();
    },
  };
}
