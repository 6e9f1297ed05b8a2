/** Many callers at once, broken ones, and strangers. Numbers are those of docs/api.md. */
import { connect, type Socket } from 'node:net';
import { queryObjects } from 'node:v8';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Document } from '../../src/server/document/server-document.ts';
import { closed, requestHead } from '../support/http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

const version = 'e'.repeat(64);
const authorization = 'Bearer r8_here';
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_here', 'r8_elsewhere'] });
});
afterAll(() => server?.close());

interface Answer {
  id: string;
  status: string;
}

async function call<Body = Answer>(method: string, path: string, body?: unknown, headers: object = {}): Promise<Body> {
  const answer = await fetch(`${server.origin}/v1${path}`, {
    method,
    headers: { authorization, 'content-type': 'application/json', ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  expect([path, answer.status]).toEqual([path, expect.toSatisfy((status: number) => status < 300)]);
  return (await answer.json()) as Body;
}
const create = (input: object, headers?: object) => call('POST', '/predictions', { version, input }, headers);
const listed = async () => (await call<{ results: Answer[] }>('GET', '/predictions')).results;

test('S9 five hundred held replies: others are answered meanwhile, and each gets its own', {
  timeout: 180_000,
}, async () => {
  const blocker = await create({ steps: 100_000, step_ms: 50 });
  await waitUntil('it runs', async () => (await call('GET', `/predictions/${blocker.id}`)).status === 'processing');
  const before = process.memoryUsage().heapUsed;
  let isCanceled = false;
  const held = Array.from({ length: 500 }, async (_, index) => {
    const begun = performance.now();
    const answer = await create({ text: `${index}`, steps: 0, num_outputs: 0 }, { prefer: 'wait=60' });
    // On a very busy machine the minute may be over before its turn comes.
    const isFull = performance.now() - begun >= 59_500;
    return { ...answer, isFull, isEarly: !isCanceled };
  });
  await waitUntil('all are there', async () => (await countQueued()) >= 500, 50_000);
  const times: number[] = [];
  for (let index = 0; index < 20; index++) {
    const start = performance.now();
    await call('GET', `/predictions/${blocker.id}`);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  isCanceled = true;
  await call('POST', `/predictions/${blocker.id}/cancel`);
  const answers = await Promise.all(held);
  console.info(
    `500 held: median GET ${times[10]!.toFixed(1)} ms, heap ${((process.memoryUsage().heapUsed - before) / 1e6).toFixed(0)} MB more`,
  );
  expect(new Set(answers.map(({ id }) => id)).size).toBe(500);
  // None of them had to go for the others to be answered, and each has its end unless its minute was over.
  const wrong = answers.filter(({ status, isFull, isEarly }) => !isFull && (isEarly || status !== 'succeeded'));
  expect(wrong).toEqual([]);
  await waitUntil('none is left', async () => (await countQueued()) === 0, 50_000);
});

test('S9 held replies and runs that are over leave nothing behind', { timeout: 120_000 }, async () => {
  const runs = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index++) {
      const { status } = await create({ text: `${index}`, steps: 0, num_outputs: 0 }, { prefer: 'wait=60' });
      expect(status).toBe('succeeded');
    }
  };
  await runs(20);
  const before = queryObjects(Promise, { format: 'count' });
  await runs(100);
  const left = queryObjects(Promise, { format: 'count' }) - before;
  // A promise that lives as long as the server remembers all who wait for it; one for each run would be a hundred.
  console.info(`${left} promises more`);
  expect(left).toBeLessThan(50);
});

async function countQueued(): Promise<number> {
  const { rows } = await sql<{ count: string }>`
    select count(*) as count from predictions where status = 'starting'`.execute(server.database.kysely);
  return Number(rows[0]!.count);
}

test('S30 half a body makes no prediction, whether its sender hangs up, breaks off or falls silent', async () => {
  const before = (await listed()).map(({ id }) => id);
  const body = JSON.stringify({ version, input: { text: 'half' } });
  const head = requestHead('POST /v1/predictions', {
    authorization,
    'content-type': 'application/json',
    'content-length': body.length,
    connection: 'keep-alive',
  });
  const sockets: Socket[] = [];
  for (let index = 0; index < 300; index++) {
    const socket = connect(server.port, '127.0.0.1');
    socket.resume().on('error', () => {});
    // Within the head, at its end, and within the body.
    const cut = [head.length - 20, head.length, head.length + 10][index % 3]!;
    await new Promise<void>((resolve) => socket.write((head + body).slice(0, cut), () => resolve()));
    sockets.push(socket);
  }
  await call('GET', '/predictions');
  const gone = sockets.map(closed);
  for (const [index, socket] of sockets.entries()) {
    if (index % 4 === 0) socket.end();
    else if (index % 4 === 1) socket.resetAndDestroy();
    else socket.destroy();
  }
  await Promise.all(gone);
  expect((await listed()).map(({ id }) => id)).toEqual(before);
  expect(server.log()).not.toContain('"level":50');
});

test.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
])('S30 a body in %s is not unpacked: a megabyte may stand for a gigabyte', async (encoding, compress) => {
  const body = compress(Buffer.from(JSON.stringify({ version, input: { text: 'x'.repeat(5_000_000) } })));
  const answer = await fetch(`${server.origin}/v1/predictions`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json', 'content-encoding': encoding },
    body: new Uint8Array(body),
  });
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(answer.status).toBeLessThan(500);
});

describe('S2 objects of another account', () => {
  const stranger = { authorization: 'Bearer r8_elsewhere' };

  test('no operation of the document answers anything but 404 for them', async () => {
    const { username } = await call<{ username: string }>('GET', '/account');
    const other = await call<{ username: string }>('GET', '/account', undefined, stranger);
    const prediction = await create({ text: 'mine' }, { prefer: 'wait' });
    const form = new FormData();
    form.set('content', new Blob(['mine']), 'mine.txt');
    const upload = await fetch(`${server.origin}/v1/files`, { method: 'POST', headers: { authorization }, body: form });
    const file = (await upload.json()) as Answer;
    const deployment = {
      name: 'mine',
      model: 'test/echo',
      version,
      hardware: 'cpu',
      min_instances: 0,
      max_instances: 1,
    };
    await call('POST', '/deployments', deployment);

    const document = (await (await fetch(`${server.origin}/openapi.json`)).json()) as Document;
    const asked: string[] = [];
    const found: string[] = [];
    for (const [template, item] of Object.entries(document.paths)) {
      const path = fill(template, { prediction: prediction.id, file: file.id, username });
      if (!path) continue;
      for (const method of Object.keys(item)) {
        const answer = await fetch(`${server.origin}/v1${path}`, {
          method: method.toUpperCase(),
          headers: { ...stranger, 'content-type': 'application/json' },
          body: ['post', 'patch'].includes(method) ? '{"input":{},"max_instances":2}' : undefined,
        });
        asked.push(`${method} ${template}`);
        const text = await answer.text();
        // Told by its shape, not by its owner: a download without a signature is refused to everybody.
        const refused = answer.status === 404 || (template.endsWith('/download') && answer.status >= 400);
        if (!refused || text.includes('mine')) found.push(`${method} ${path}: ${answer.status} ${text}`);
      }
    }
    expect(found).toEqual([]);
    expect(asked.length).toBeGreaterThanOrEqual(8);
    for (const path of ['/predictions', '/files', '/deployments', '/trainings']) {
      expect([path, await call('GET', path, undefined, stranger)]).toMatchObject([path, { results: [] }]);
    }
    expect(other.username).not.toBe(username);
    expect((await call('GET', `/predictions/${prediction.id}`)).status).toBe('succeeded');
    expect((await call('GET', `/files/${file.id}`)).id).toBe(file.id);
  });

  /** The address of an object of the first account, or undefined for what belongs to nobody. */
  function fill(template: string, own: { prediction: string; file: string; username: string }): string | undefined {
    if (!template.includes('{')) return undefined;
    if (template.startsWith('/predictions/')) return template.replace(/\{\w+\}/, own.prediction);
    if (template.startsWith('/files/{')) return template.replace(/\{\w+\}/, own.file);
    if (template.startsWith('/deployments/'))
      return template.replace(/\{\w+\}/, own.username).replace(/\{\w+\}/, 'mine');
    if (template.startsWith('/trainings/')) return template.replace(/\{\w+\}/, own.prediction);
    return undefined;
  }
});
