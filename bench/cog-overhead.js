/**
 * What one prediction that does nothing costs here, beside the server of Cog: from sending the request to holding the
 * finished prediction, one at a time.
 *
 *   python3 -m venv bench/cog/.venv && bench/cog/.venv/bin/pip install -r bench/cog/requirements.txt      (once)
 *   npm run build && node tools/with-postgres.js node bench/cog-overhead.js [300]
 *
 * All servers are the real ones, in processes of their own, and run at the same time; they are asked in turns, so that
 * what else the machine does falls on each of them alike. Cog's keeps nothing: its predictions are gone when they are
 * answered. Here each is a row in a database, on disk before it is run. Without DATABASE_URL PGlite alone is measured; an
 * empty database, as its tables stay. Prints one JSON object.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus, loadavg } from 'node:os';
import { delimiter } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'undici';
import { startServer } from './server-process.js';

const count = Number(process.argv[2] ?? 300);
/** Requests that one server answers before it is the next one's turn. */
const turn = 25;
/** Cog's only worker needs a moment after an answer before it takes the next request; till then it answers 409. */
const pauseMs = 20;
const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const round = (value) => Math.round(value * 100) / 100;

const report = { node: process.version, cpu: cpus()[0].model, cores: cpus().length, loadBefore: loadavg()[0], count };
const noop = { body: { version: 'bench/noop', input: {} }, headers: { prefer: 'wait=60' } };
const servers = { cog: await startCog(), pglite: { ...(await startServer({})), ...noop } };
const { DATABASE_URL } = process.env;
if (DATABASE_URL) servers.postgresql = { ...(await startServer({ DATABASE_URL })), ...noop };
try {
  const clients = Object.entries(servers).map(([name, server]) => ({ name, ask: asking(server), times: [] }));
  for (const { ask } of clients) for (let index = 0; index < 2 * turn; index++) await ask();
  while (clients.some(({ times }) => times.length < count)) {
    for (const { ask, times } of clients) {
      for (let index = 0; index < turn; index++) times.push(await ask());
    }
  }
  for (const { name, times } of clients) report[name] = percentiles(times);
  report.loadAfter = loadavg()[0];
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
} finally {
  for (const server of Object.values(servers)) await server.stop();
}

/** Milliseconds until the answer is there, over a connection that stays open. */
function asking({ origin, body, headers }) {
  const client = new Client(origin);
  const sent = JSON.stringify(body);
  const ask = async () => {
    await pause(pauseMs);
    const before = performance.now();
    const reply = await client.request({
      method: 'POST',
      path: '/predictions',
      headers: { 'content-type': 'application/json', ...headers },
      body: sent,
    });
    const { status, error } = await reply.body.json();
    const after = performance.now();
    if (reply.statusCode === 409) return ask();
    if (status !== 'succeeded') throw new Error(`${reply.statusCode} ${status} ${error}`);
    return after - before;
  };
  return ask;
}

/** As in the images that `cog build` makes, without the container. */
async function startCog() {
  const programs = path('cog/.venv/bin');
  if (!existsSync(programs)) throw new Error(`${programs} is missing; the head of this file says how to make it.`);
  const port = await freePort();
  const child = spawn(`${programs}/python`, ['-m', 'cog.server.http', '--host', '127.0.0.1'], {
    cwd: path('cog'),
    env: {
      ...process.env,
      // Its worker is the first python3.
      PATH: `${programs}${delimiter}${process.env.PATH}`,
      PYTHONDONTWRITEBYTECODE: '1',
      PORT: String(port),
      COG_PREDICT_TYPE_STUB: 'predict.py:Predictor',
      COG_LOG_LEVEL: 'warning',
    },
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const exited = once(child, 'exit');
  const origin = `http://127.0.0.1:${port}`;
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  for (const end = performance.now() + 30_000; performance.now() < end; await pause(50)) {
    const health = await fetch(`${origin}/health-check`).then(
      (reply) => reply.json(),
      () => undefined,
    );
    if (health?.status === 'READY') {
      report.cogVersion = health.version.coglet;
      return { origin, stop, body: { input: {} } };
    }
  }
  await stop();
  throw new Error('The server of Cog is not ready after 30 seconds.');
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

function percentiles(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]);
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99), maxMs: at(1) };
}
