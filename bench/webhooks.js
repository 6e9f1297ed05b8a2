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
import { once } from 'node:events';
import { createServer } from 'node:http';
import { cpus, loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { cpuMs, startServer } from './server-process.js';

/** Predictions of one measurement under load. */
const load = 500;
const round = (value) => Math.round(value * 100) / 100;

const report = { node: process.version, cpu: cpus()[0].model, cores: cpus().length, loadBefore: loadavg()[0] };
report.pglite = await measure({});
if (process.env.DATABASE_URL) report.postgresql = await measure({ DATABASE_URL: process.env.DATABASE_URL });
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);

async function measure(database) {
  const server = await startServer(database);
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
    const without = await throughput(create, false, server.pid);
    receiver.latencies.length = 0;
    const withWebhook = await throughput(create, true, server.pid);
    await all(receiver, load);
    return { idleEndToWebhookMs, busyEndToWebhookMs: percentiles(receiver.latencies), without, withWebhook };
  } finally {
    await agent.close();
    await server.stop();
    receiver.close();
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

function percentiles(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
