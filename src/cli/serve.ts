import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openAccounts } from '../accounts/accounts.ts';
import { createLog } from '../base/log.ts';
import { readSettings } from '../base/settings.ts';
import { loadModels } from '../catalog/list.ts';
import { openDatabase } from '../database/connect.ts';
import { startHost } from '../predictions/host.ts';
import { startRetention } from '../predictions/retention.ts';
import { createPredictions } from '../predictions/store.ts';
import { createApp } from '../server/app.ts';
import { createLocalFileStore } from '../storage/local-files.ts';
import { startSweep } from '../uploads/sweep.ts';
import { createUploads } from '../uploads/uploads.ts';
import { startWebhooks } from '../webhooks/webhooks.ts';
import { type Command, untilAskedToEnd } from './command.ts';
import { listenFault } from './listen-fault.ts';
import { publishServer } from './running-server.ts';

const help = `Starts the prediction server, with a worker in it that runs the models.

Usage: darkroom serve [--port 5000] [--host 127.0.0.1]

Options
  --port <number>   port to listen on; 0 takes any free one   (PORT, default 5000)
  --host <address>  address to listen on                      (HOST, default 127.0.0.1)

Where other machines reach it (HOST or DARKROOM_PUBLIC_URL is not loopback), the server asks for a token. Without one it
makes the first and prints it once; \`darkroom token\` makes and revokes more. On loopback it asks for none until one is made.
DARKROOM_CONCURRENCY=0 serves without running anything here; start \`darkroom worker\` elsewhere.

Examples
  darkroom serve
  DATABASE_URL=postgres://darkroom@db/darkroom darkroom serve
  darkroom serve --host 0.0.0.0
`;

async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { port: { type: 'string' }, host: { type: 'string' } } });
  const settings = readSettings({
    ...process.env,
    PORT: values.port ?? process.env.PORT,
    HOST: values.host ?? process.env.HOST,
  });
  const log = createLog(settings.logLevel);
  const asked = untilAskedToEnd();

  const models = await loadModels(settings.modelFolders);
  const database = await openDatabase(settings, log);
  const files = createLocalFileStore(join(settings.home, 'files'));
  const accounts = await openAccounts(database, settings, log);
  const predictions = await createPredictions(database, log);
  const webhooks = startWebhooks({ database, secrets: accounts, settings, log });
  const parts = { predictions, webhooks, files, models, settings, log };
  const host = settings.concurrency > 0 ? await startHost({ database, ...parts }) : undefined;
  const ready = async (): Promise<string[]> => {
    const reasons: string[] = [];
    // Fixed sentences: anybody may ask, and a database's own message can name hosts.
    if (!(await answers(predictions.queued()))) reasons.push('The database does not answer; the log says why.');
    if (host?.isStuck()) reasons.push('No engine can be started; the log says why.');
    return reasons;
  };
  const uploads = createUploads({ database, files, accounts, settings });
  const sweep = startSweep({ database, files, log });
  const retention = startRetention({ database, files, retentionMs: settings.retentionMs, log });
  const administrationKey = randomBytes(32).toString('base64url');
  const app = createApp({ ...parts, accounts, uploads, administrationKey, ready });
  const address = await app.listen({ host: settings.host, port: settings.port }).catch((error: unknown) => {
    throw listenFault(error, settings);
  });
  // Not before: who starts the server again after a fault would have a token that nobody wrote down.
  const firstToken = await accounts.firstToken();
  if (firstToken) process.stdout.write(firstTokenNotice(firstToken));
  const withdraw = await publishServer(settings, app.server.address() as AddressInfo, administrationKey);
  process.stdout.write(`Darkroom listens on ${address}\n`);

  log.info({ signal: await asked }, 'ending');
  await withdraw();
  await app.close();
  await retention.close();
  await sweep.close();
  await host?.close();
  await webhooks.close();
  await predictions.close();
  accounts.close();
  await database.close();
  return 0;
}

/** On standard output alone: a log would keep it. */
function firstTokenNotice(token: string): string {
  return (
    'This server asks every caller for a token, and there was none yet. This is the first one, shown only now:' +
    `\n\n  ${token}\n\n` +
    'Clients send it as their API token. `darkroom token create` makes more, `darkroom token revoke` ends one.\n\n'
  );
}

function answers(question: Promise<unknown>): Promise<boolean> {
  return question.then(
    () => true,
    () => false,
  );
}

export default { help, run } satisfies Command;
