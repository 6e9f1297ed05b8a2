/**
 * How many requests the server answers: creates, reads of a finished prediction, of many finished ones, of waiting ones,
 * and pages of a long list.
 *
 *   npm run build && node bench/server-throughput.js
 *   npm run build && DATABASE_URL=postgres://… node bench/server-throughput.js    (PGlite first, then this database)
 *
 * The server is the real one, in a process of its own, with its usual log (into a file). It runs no predictions, so that
 * creates alone are measured; `bench/server-overhead.js` measures them as they run. The load comes from this process: it
 * takes processor time too, on two cores more than a third of what there is, so a client elsewhere sees higher figures.
 * Use an empty database: its tables stay. Prints one JSON object.
 */
import { cpus, loadavg } from 'node:os';
import { Client } from 'undici';
import { cpuMs, startServer } from './server-process.js';

/** Callers that each wait for an answer before they send the next request. */
const callers = 64;
const seconds = Number(process.argv[2] ?? 5);
const create = JSON.stringify({ version: 'bench/noop', input: {} });
const round = (value) => Math.round(value * 100) / 100;

const report = { node: process.version, cpu: cpus()[0].model, cores: cpus().length, loadBefore: loadavg()[0], callers };
report.pglite = await measure({});
if (process.env.DATABASE_URL) report.postgresql = await measure({ DATABASE_URL: process.env.DATABASE_URL });
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);

async function measure(database) {
  const server = await startServer({ ...database, DARKROOM_CONCURRENCY: '0' });
  const clients = Array.from({ length: callers }, () => new Client(server.origin));
  try {
    const ids = [];
    const creating = async (client) => {
      ids.push((await call(client, 'POST', '/predictions', create)).id);
    };
    await load(server, clients, creating, 1);
    ids.length = 0;
    const creates = await load(server, clients, creating);
    const waiting = ids.slice(0, 200);
    const finished = ids.slice(200, 400);
    for (const id of finished) await call(clients[0], 'POST', `/predictions/${id}/cancel`);
    const read = (some) => (client, index) => call(client, 'GET', `/predictions/${some[index % some.length]}`);
    await load(server, clients, read(finished), 1);
    const result = {
      creates,
      getsOfOneFinished: await load(server, clients, read([finished[0]])),
      getsOfFinished: await load(server, clients, read(finished)),
      getsOfWaiting: await load(server, clients, read(waiting)),
    };
    while (ids.length < 10_000) await Promise.all(clients.map((client) => creating(client)));
    result.predictionsInTheList = ids.length;
    result.firstPages = await load(server, clients.slice(0, 4), (client) => call(client, 'GET', '/predictions'));
    result.walk = await walk(clients[0]);
    return result;
  } finally {
    await Promise.all(clients.map((client) => client.close()));
    await server.stop();
  }
}

/** As many requests as the callers get answers to. */
async function load(server, clients, send, duration = seconds) {
  let done = 0;
  const times = [];
  const cpuBefore = cpuMs(server.pid);
  const ownBefore = process.cpuUsage();
  const begin = performance.now();
  const end = begin + duration * 1000;
  const caller = async (client) => {
    for (let now = performance.now(); now < end; ) {
      await send(client, done++);
      const after = performance.now();
      times.push(after - now);
      now = after;
    }
  };
  await Promise.all(clients.map(caller));
  const elapsed = performance.now() - begin;
  const own = process.cpuUsage(ownBefore);
  times.sort((a, b) => a - b);
  return {
    perSecond: Math.round((times.length / elapsed) * 1000),
    p50Ms: round(times[Math.floor(times.length * 0.5)]),
    p99Ms: round(times[Math.floor(times.length * 0.99)]),
    serverCpuMsPerRequest: round((cpuMs(server.pid) - cpuBefore) / times.length),
    loadCpuMsPerRequest: round((own.user + own.system) / 1000 / times.length),
  };
}

/** Through the whole list, page after page. */
async function walk(client) {
  const begin = performance.now();
  let pages = 0;
  let items = 0;
  let longest = 0;
  for (let path = '/v1/predictions'; path; pages++) {
    const before = performance.now();
    const { results, next } = await call(client, 'GET', path);
    longest = Math.max(longest, performance.now() - before);
    items += results.length;
    path = next?.slice(new URL(next).origin.length);
  }
  return { pages, items, msPerPage: round((performance.now() - begin) / pages), longestMs: round(longest) };
}

async function call(client, method, path, body) {
  const headers = body ? { 'content-type': 'application/json' } : {};
  const reply = await client.request({ method, path, headers, body });
  const text = await reply.body.text();
  if (reply.statusCode >= 300) throw new Error(`${method} ${path}: ${reply.statusCode} ${text}`);
  // Of answers that nobody looks into the text is enough.
  return method === 'GET' && !path.startsWith('/v1') ? text : JSON.parse(text);
}
