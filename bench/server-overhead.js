/**
 * What the server adds to a prediction: a model that does nothing, run through HTTP, database, queue and engine process.
 *
 *   npm run build && node bench/server-overhead.js
 *   npm run build && DATABASE_URL=postgres://… node bench/server-overhead.js    (PGlite first, then this database)
 *
 * The server is the real one, in a process of its own; the load comes from this process, on the same machine. Use an
 * empty database: its tables stay. Prints one JSON object.
 */
import { cpus, loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { cpuMs, startServer } from './server-process.js';

const create = JSON.stringify({ version: 'bench/noop', input: {} });
const round = (value) => Math.round(value * 10) / 10;

const report = { node: process.version, cpu: cpus()[0].model, cores: cpus().length, loadBefore: loadavg()[0] };
report.pglite = await measure({});
if (process.env.DATABASE_URL) report.postgresql = await measure({ DATABASE_URL: process.env.DATABASE_URL });
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);

async function measure(database) {
  const server = await startServer(database);
  const agent = new Agent({ connections: 16 });
  const call = async (method, route, { body, headers } = {}) => {
    const reply = await request(server.origin + route, {
      method,
      dispatcher: agent,
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    const answer = await reply.body.json();
    if (reply.statusCode >= 300) throw new Error(`${method} ${route}: ${reply.statusCode} ${JSON.stringify(answer)}`);
    return answer;
  };
  try {
    await latency(call, 50);
    const idle = await latency(call, 300);
    const endToEnd = await throughput(call, 500, server.pid);
    const gets = await getRate(call, 5000, server.pid);
    return { ...idle, ...endToEnd, ...gets };
  } finally {
    await agent.close();
    await server.stop();
  }
}

/** One prediction at a time, with nothing else going on. */
async function latency(call, count) {
  const toStart = [];
  const toEnd = [];
  for (let index = 0; index < count; index++) {
    await pause(15);
    const before = performance.now();
    const prediction = await call('POST', '/predictions', { body: create, headers: { prefer: 'wait=30' } });
    toEnd.push(performance.now() - before);
    if (prediction.status !== 'succeeded') throw new Error(`${prediction.status}: ${prediction.error}`);
    toStart.push(Date.parse(prediction.started_at) - Date.parse(prediction.created_at));
  }
  return {
    idleCreateToStartMs: percentiles(toStart),
    /** From sending the request to holding the finished prediction. */
    idleRoundTripMs: percentiles(toEnd),
  };
}

/** Sixteen callers that each wait for their prediction and then send the next. */
async function throughput(call, count, pid) {
  let left = count;
  const cpuBefore = cpuMs(pid);
  const before = performance.now();
  const caller = async () => {
    while (left-- > 0) await call('POST', '/predictions', { body: create, headers: { prefer: 'wait=60' } });
  };
  await Promise.all(Array.from({ length: 16 }, caller));
  const seconds = (performance.now() - before) / 1000;
  return { predictionsPerSecond: round(count / seconds), cpuMsPerPrediction: perOne(cpuMs(pid) - cpuBefore, count) };
}

async function getRate(call, milliseconds, pid) {
  const { id } = await call('POST', '/predictions', { body: create, headers: { prefer: 'wait=30' } });
  let done = 0;
  const cpuBefore = cpuMs(pid);
  const end = performance.now() + milliseconds;
  const caller = async () => {
    while (performance.now() < end) {
      await call('GET', `/predictions/${id}`);
      done++;
    }
  };
  await Promise.all(Array.from({ length: 16 }, caller));
  return { getsPerSecond: round((done / milliseconds) * 1000), cpuMsPerGet: perOne(cpuMs(pid) - cpuBefore, done) };
}

function perOne(total, count) {
  return Number.isNaN(total) ? undefined : Math.round((total / count) * 100) / 100;
}

function percentiles(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]);
  return { p50: at(0.5), p95: at(0.95) };
}
