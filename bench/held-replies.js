/**
 * Many callers that hold `Prefer: wait` at once: every one of them must get its own finished prediction, and those that
 * the server still holds when it is asked to end must be let go at once.
 *
 *   npm run build && node bench/held-replies.js [500]
 *   npm run build && DATABASE_URL=postgres://… node bench/held-replies.js [500]
 *
 * Exits with 1 when one of them is not answered as it should be. Prints one JSON object.
 */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { cpuMs, startServer } from './server-process.js';

const count = Number(process.argv[2] ?? 500);
const database = process.env.DATABASE_URL ? { DATABASE_URL: process.env.DATABASE_URL } : {};
const agent = new Agent({ connections: count });
const report = { held: count };

const running = await startServer(database);
const memoryBefore = memoryMb(running.pid);
const cpuBefore = cpuMs(running.pid);
const begin = performance.now();
const answers = await Promise.all(Array.from({ length: count }, () => create(running)));
report.all = {
  seconds: secondsSince(begin),
  statuses: countOf(answers.map(({ status }) => status)),
  differentPredictions: new Set(answers.map(({ id }) => id)).size,
  serverCpuMsPerReply: Math.round(((cpuMs(running.pid) - cpuBefore) / count) * 10) / 10,
  memoryMb: { before: memoryBefore, after: memoryMb(running.pid) },
};
await running.stop();

// Nothing runs here: all are still held when the server ends.
const idle = await startServer({ ...database, DARKROOM_CONCURRENCY: '0' });
let left = count;
const held = Array.from({ length: count }, () => create(idle).finally(() => left--));
while ((await waiting(idle)) < count) await new Promise((resolve) => setTimeout(resolve, 100));
const heldBefore = left;
const asked = performance.now();
const stopped = idle.stop();
const letGo = await Promise.all(held);
report.atTheEnd = {
  heldBefore,
  secondsUntilAllWereAnswered: secondsSince(asked),
  statuses: countOf(letGo.map(({ status }) => status)),
};
await stopped;
await agent.close();
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
const isRight =
  report.all.statuses.succeeded === count && report.all.differentPredictions === count && heldBefore === count;
process.exitCode = isRight && report.atTheEnd.statuses.starting === count ? 0 : 1;

async function create({ origin }) {
  const reply = await request(`${origin}/predictions`, {
    method: 'POST',
    dispatcher: agent,
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify({ version: 'bench/noop', input: {} }),
  });
  const answer = await reply.body.json();
  if (reply.statusCode !== 201) throw new Error(`${reply.statusCode} ${JSON.stringify(answer)}`);
  return answer;
}

/** How many of this server's own predictions wait, by its list. */
async function waiting({ origin }) {
  let found = 0;
  for (let url = `${origin}/predictions`; url; ) {
    const reply = await request(url);
    const { results, next } = await reply.body.json();
    found += results.filter(({ status }) => status === 'starting').length;
    url = next;
  }
  return found;
}

function countOf(values) {
  const counts = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

function memoryMb(pid) {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kilobytes) / 1024);
}

function secondsSince(time) {
  return Math.round((performance.now() - time) / 10) / 100;
}
