import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createSecrets } from '../accounts/secrets.ts';
import { SettingsError } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import { readSettings } from '../base/settings.ts';
import { loadModels } from '../catalog/list.ts';
import { openDatabase } from '../database/connect.ts';
import { startHost } from '../predictions/host.ts';
import { createPredictions } from '../predictions/store.ts';
import { createLocalFileStore } from '../storage/local-files.ts';
import { startWebhooks } from '../webhooks/webhooks.ts';
import { type Command, untilAskedToEnd } from './command.ts';

const help = `Runs predictions that a server has accepted, in a process or on a machine of its own.

Usage: DATABASE_URL=postgres://… darkroom worker

It shares two things with the server: the database (DATABASE_URL, PostgreSQL) and the data folder (DARKROOM_HOME),
through which pictures travel; on two machines that is a network file system.
DARKROOM_CONCURRENCY says how many predictions run at the same time (default 1).

Example
  DATABASE_URL=postgres://darkroom@db/darkroom DARKROOM_HOME=/srv/darkroom darkroom worker
`;

async function run(args: string[]): Promise<number> {
  parseArgs({ args });
  const settings = readSettings();
  if (!settings.databaseUrl) {
    throw new SettingsError(
      'A worker of its own needs DATABASE_URL: the embedded database belongs to the process of `darkroom serve`, ' +
        'which already has a worker in it.',
    );
  }
  if (settings.concurrency === 0) throw new SettingsError('DARKROOM_CONCURRENCY is 0; this worker would do nothing.');
  const log = createLog(settings.logLevel);
  const asked = untilAskedToEnd();

  const models = await loadModels(settings.modelFolders);
  const database = await openDatabase(settings, log);
  const files = createLocalFileStore(join(settings.home, 'files'));
  const predictions = await createPredictions(database, log);
  const webhooks = startWebhooks({ database, secrets: createSecrets(database), settings, log });
  const host = await startHost({ database, predictions, webhooks, files, models, settings, log });
  process.stdout.write(`Darkroom worker ready, ${settings.concurrency} at a time\n`);

  log.info({ signal: await asked }, 'ending');
  await host.close();
  await webhooks.close();
  await predictions.close();
  await database.close();
  return 0;
}

export default { help, run } satisfies Command;
