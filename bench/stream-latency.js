/**
 * How long after a transition its event reaches the reader of a stream.
 *
 *   npm run build && node bench/stream-latency.js
 *   npm run build && DATABASE_URL=postgres://… node bench/stream-latency.js    (PGlite first, then this database)
 *
 * The server is the real one, in a process of its own; the readers are this process, on the same machine and clock.
 * `end`: from the time in `completed_at`, which is taken before the transaction is committed, to the event `done`.
 * `file`: from the moment at which the model has a file, so with storing its bytes and row, to the event `output`.
 * Use an empty database: its tables stay. Prints one JSON object.
 */
import { Agent, get } from 'node:http';
import { cpus, loadavg } from 'node:os';
import { startServer } from './server-process.js';

const predictions = 200;
const filesEach = 2;
const heldStreams = 1_000;
const readers = 200;

const report = { node: process.version, cpu: cpus()[0].model, cores: cpus().length, loadBefore: loadavg()[0] };
report.pglite = await measure({});
if (process.env.DATABASE_URL) report.postgresql = await measure({ DATABASE_URL: process.env.DATABASE_URL });
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);

async function measure(database) {
  // The second engine is for the prediction that streams are held for.
  const server = await startServer({ ...database, DARKROOM_CONCURRENCY: '2' });
  const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY });
  const call = async (route, body) => {
    const headers = { 'content-type': 'application/json' };
    const reply = await fetch(
      server.origin + route,
      body ? { method: 'POST', headers, body: JSON.stringify(body) } : {},
    );
    return reply.json();
  };
  const create = (input) => call('/v1/models/bench/paced/predictions', { input });
  try {
    await oneByOne(call, create, agent, 20);
    const alone = await oneByOne(call, create, agent, predictions);
    const long = await create({ files: 0, pause_ms: 600_000 });
    const held = await Promise.all(Array.from({ length: heldStreams }, () => openStream(agent, long.urls.stream)));
    const besideHeld = await oneByOne(call, create, agent, predictions);
    for (const stream of held) stream.close();
    const toMany = await together(call, create, agent);
    await call(`/v1/predictions/${long.id}/cancel`, {});
    return { alone, [`beside${heldStreams}HeldStreams`]: besideHeld, [`to${readers}ReadersAtOnce`]: toMany };
  } finally {
    agent.destroy();
    await server.stop();
  }
}

/** One prediction and one reader at a time. */
async function oneByOne(call, create, agent, count) {
  const latencies = { file: [], end: [] };
  for (let index = 0; index < count; index++) {
    const { id, urls } = await create({ files: filesEach });
    const { events } = await openStream(agent, urls.stream);
    collect(latencies, await events, await call(`/v1/predictions/${id}`));
  }
  return { fileMs: percentiles(latencies.file), endMs: percentiles(latencies.end) };
}

/** Many readers of the same prediction. */
async function together(call, create, agent) {
  const latencies = { file: [], end: [] };
  const { id, urls } = await create({ files: 10, pause_ms: 500 });
  const streams = await Promise.all(Array.from({ length: readers }, () => openStream(agent, urls.stream)));
  const begun = Date.now();
  for (const { events } of streams) {
    // What was there before the stream was open was not waited for.
    collect(
      latencies,
      (await events).filter(({ at }) => at > begun + 100),
      await call(`/v1/predictions/${id}`),
    );
  }
  return { fileMs: percentiles(latencies.file), endMs: percentiles(latencies.end) };
}

function collect(latencies, events, prediction) {
  for (const { name, data, at } of events) {
    if (name === 'output') latencies.file.push(at - Number(/(\d+)\.txt$/.exec(data)[1]));
    if (name === 'done') latencies.end.push(at - Date.parse(prediction.completed_at));
  }
}

/** Resolves once the stream has begun. */
function openStream(agent, url) {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, (reply) => {
      const events = [];
      let text = '';
      let finish;
      const all = new Promise((end) => {
        finish = end;
      });
      reply.setEncoding('utf8');
      reply.on('data', (chunk) => {
        const at = Date.now();
        const blocks = (text + chunk).split('\n\n');
        text = blocks.pop();
        for (const block of blocks)
          events.push({ name: /^event: (.*)$/m.exec(block)[1], data: /^data: (.*)$/m.exec(block)[1], at });
        resolve({ events: all, close: () => request.destroy() });
      });
      reply.on('end', () => finish(events));
      reply.on('error', () => finish(events));
    });
    request.on('error', reject);
  });
}

function percentiles(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) };
}
