/**
 * Runs clients in other languages, unmodified, against a server that it starts, and prints what passed.
 *
 *   tools/reference/clients/setup.sh && npm run build
 *   node tools/reference/clients/run.js [one two langchain go cli schemathesis known]
 *   node tools/with-postgres.js node tools/reference/clients/run.js     (DATABASE_URL names an empty one; else PGlite)
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const python = (environment) => path(`.venv/${environment}/bin/python`);

const clients = {
  one: [python('one'), path('replicate_one.py')],
  two: [python('two'), path('replicate_two.py')],
  langchain: [python('one'), path('langchain_wrapper.py')],
  go: [path('.venv/go')],
  cli: [python('one'), path('replicate_cli.py')],
  schemathesis: ({ origin }) => generatedRequests(origin, path('schemathesis.toml'), '60'),
  known: async ({ origin }) => generatedRequests(origin, await writeKnown(origin), '30'),
};

const token = 'r8_clients';
const chosen = process.argv.slice(2);
const names = chosen.length
  ? chosen
  : Object.keys(clients).filter((name) => name !== 'cli' || process.env.REPLICATE_CLI);
const home = await mkdtemp(join(tmpdir(), 'darkroom-clients-'));
const server = await startServer();
let failed = 0;
try {
  for (const name of names) {
    const client = clients[name];
    const [command, ...args] = typeof client === 'function' ? await client(server) : client;
    console.log(`\n${name}`);
    if (!existsSync(command)) throw new Error(`${command} is missing: run tools/reference/clients/setup.sh`);
    const env = {
      ...process.env,
      DARKROOM_ORIGIN: server.origin,
      DARKROOM_LOG: join(home, 'log'),
      REPLICATE_BASE_URL: server.origin,
      REPLICATE_API_TOKEN: token,
      REPLICATE_POLL_INTERVAL: '0.05',
      PYTHONDONTWRITEBYTECODE: '1',
    };
    const { status } = spawnSync(command, args, { env, cwd: home, stdio: 'inherit', timeout: 300_000 });
    if (status !== 0) failed++;
  }
} finally {
  server.child.kill('SIGTERM');
  await once(server.child, 'exit');
  const log = readFileSync(join(home, 'log'), 'utf8');
  const errors = log.split('\n').filter((line) => line.includes('"level":50'));
  console.log(`\n${errors.length} errors in the server's log, the token in it: ${log.includes(token)}`);
  for (const line of errors.slice(0, 20)) console.log(line.slice(0, 600));
  if (log.includes(token)) failed++;
  await rm(home, { recursive: true });
}
process.exitCode = failed ? 1 : 0;

/** Schemathesis: no status of the server's own faults, and none that the OpenAPI document does not name. */
function generatedRequests(origin, configuration, examples) {
  const checks = [
    'not_a_server_error',
    'status_code_conformance',
    'content_type_conformance',
    'response_schema_conformance',
  ];
  return [
    path('.venv/schemathesis/bin/schemathesis'),
    ...['--config-file', configuration, '--no-color', 'run', `${origin}/openapi.json`],
    ...['--header', `Authorization: Bearer ${token}`, '--checks', checks.join(), '--phases', 'coverage,fuzzing'],
    ...['--max-examples', examples, '--max-failures', '40', '--request-timeout', '20', '--workers', '2'],
  ];
}

/** Generated addresses hardly ever meet anything: these name a model, a prediction, a file and a deployment. */
async function writeKnown(origin) {
  const call = async (route, body) => {
    const answer = await fetch(`${origin}/v1${route}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        ...(body instanceof FormData ? {} : { 'content-type': 'application/json' }),
      },
      body: body instanceof FormData ? body : JSON.stringify(body),
    });
    return answer.json();
  };
  const form = new FormData();
  form.set('content', new Blob(['some bytes']), 'some.txt');
  const file = await call('/files', form);
  const version = 'e'.repeat(64);
  const prediction = await call('/models/test/echo/predictions', { input: {} });
  const settings = { hardware: 'cpu', min_instances: 0, max_instances: 1 };
  const deployment = await call('/deployments', { name: 'known', model: 'test/echo', version, ...settings });
  const operations = {
    '^/models/': { owner: 'test', name: 'echo', version },
    '^/predictions/': { id: prediction.id },
    '^/files/.id.': { id: file.id },
    '^/deployments/.owner.': { owner: deployment.owner, name: 'known' },
  };
  const tables = Object.entries(operations).map(([pattern, parameters]) => {
    const lines = Object.entries(parameters).map(([name, value]) => `"path.${name}" = "${value}"`);
    return `[[operations]]\ninclude-path-regex = "${pattern}"\nparameters = { ${lines.join(', ')} }\n`;
  });
  const configuration = join(home, 'known.toml');
  await writeFile(configuration, `${readFileSync(path('schemathesis.toml'), 'utf8')}\n${tables.join('\n')}`);
  return configuration;
}

/** With the models of the tests, no limits on rates, and its log in a file. */
async function startServer() {
  const child = spawn(process.execPath, [path('../../../bin/darkroom.js'), 'serve'], {
    env: {
      ...process.env,
      PORT: '0',
      DARKROOM_HOME: home,
      DARKROOM_MODELS: path('../../../test/support/models'),
      DARKROOM_API_TOKENS: token,
      DARKROOM_RATE_CREATES: '0',
      DARKROOM_RATE_REQUESTS: '0',
      DARKROOM_WEBHOOK_PRIVATE: '1',
      DARKROOM_WEIGHTS: 'mini',
      // Generated inputs ask for anything, a million steps among it.
      DARKROOM_RUN_TIMEOUT: '1m',
    },
    stdio: ['ignore', 'pipe', openSync(join(home, 'log'), 'w')],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const origin = /listens on (http\S+)/.exec(line)?.[1];
    if (origin) return { child, origin };
  }
  throw new Error(`The server ended before it was ready: ${readFileSync(join(home, 'log'), 'utf8')}`);
}
