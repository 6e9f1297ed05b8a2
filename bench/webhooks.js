/**
 * Webhooks against a model that does nothing: how long after its end a prediction's webhook arrives, and what
 * predictions cost with and without one.
 *
 *   npm run build && node bench/webhooks.js
 *   npm run build && DATABASE_URL=postgres://… node bench/webhooks.js    (PGlite first, then this database)
 *
 * The server is the real one, in a process of its own; receiver and load are this process, on the same machine. Use an
 * empty database: its tables stay. Prints one JSON object.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
/** Predictions of one measurement under load. */
const load = 500;
const round = (value) => Math.round(value * 100) / 100;

const report = { node: process.version, cpu: cpus()[0].model, cores: cpus().length, loadBefore: loadavg()[0] };
report.pglite = await measure({});
if (process.env.DATABASE_URL) report.postgresql = await measure({ DATABASE_URL: process.env.DATABASE_URL });
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);

async function measure(database) {
  const home = await mkdtemp(join(tmpdir(), 'darkroom-bench-'));
  const server = await startServer({ ...database, DARKROOM_HOME: home });
  const receiver = await startReceiver();
  const agent = new Agent({ connections: 16 });
  const create = async (webhook) => {
    const reply = await request(`${server.origin}/predictions`, {
      method: 'POST',
      dispatcher: agent,
      headers: { 'content-type': 'application/json', prefer: 'wait=60' },
      body: JSON.stringify({ version: 'bench/noop', input: {}, ...(webhook && { webhook: receiver.origin }) }),
    });
    const prediction = await reply.body.json();
    if (prediction.status !== 'succeeded') throw new Error(JSON.stringify(prediction));
  };
  try {
    for (let index = 0; index < 30; index++) await create(true);
    receiver.latencies.length = 0;
    for (let index = 0; index < 200; index++) {
      await create(true);
      await pause(10);
    }
    await all(receiver, 200);
    const idleEndToWebhookMs = percentiles(receiver.latencies);
    const without = await throughput(create, false, server.child.pid);
    receiver.latencies.length = 0;
    const withWebhook = await throughput(create, true, server.child.pid);
    await all(receiver, load);
    return { idleEndToWebhookMs, busyEndToWebhookMs: percentiles(receiver.latencies), without, withWebhook };
  } finally {
    await agent.close();
    server.child.kill('SIGTERM');
    await once(server.child, 'exit');
    receiver.close();
    await rm(home, { recursive: true });
  }
}

/** Sixteen callers that each wait for their prediction and then send the next. */
async function throughput(create, webhook, pid) {
  let left = load;
  const cpuBefore = cpuMs(pid);
  const before = performance.now();
  const caller = async () => {
    while (left-- > 0) await create(webhook);
  };
  await Promise.all(Array.from({ length: 16 }, caller));
  const perSecond = (load / (performance.now() - before)) * 1000;
  return { predictionsPerSecond: round(perSecond), cpuMsPerPrediction: round((cpuMs(pid) - cpuBefore) / load) };
}

/** Notes how old the end is that each webhook brings. Both clocks are this machine's. */
async function startReceiver() {
  const latencies = [];
  const server = createServer(async (incoming, response) => {
    const at = Date.now();
    let body = '';
    for await (const chunk of incoming) body += chunk;
    latencies.push(at - Date.parse(JSON.parse(body).completed_at));
    response.writeHead(204).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { origin: `http://127.0.0.1:${server.address().port}/`, latencies, close: () => server.close() };
}

async function all({ latencies }, count) {
  const end = performance.now() + 60_000;
  while (latencies.length < count) {
    if (performance.now() > end) throw new Error(`Only ${latencies.length} of ${count} webhooks arrived.`);
    await pause(10);
  }
}

/** Processor time of the server process so far, without engines (USER_HZ, proc(5)). */
function cpuMs(pid) {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13).map(Number);
  return (user + system) * 10;
}

async function startServer(environment) {
  const log = join(environment.DARKROOM_HOME, 'log');
  const child = spawn(process.execPath, [path('../bin/darkroom.js'), 'serve'], {
    env: { ...process.env, DATABASE_URL: '', PORT: '0', DARKROOM_MODELS: path('models'), ...environment },
    stdio: ['ignore', 'pipe', openSync(log, 'w')],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const origin = /listens on (http\S+)/.exec(line)?.[1];
    if (origin) return { child, origin };
  }
  throw new Error(`The server ended before it was ready: ${readFileSync(log, 'utf8')}`);
}

function percentiles(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
