import { type AddressInfo, connect, type Socket } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { expect, onTestFinished, test, vi } from 'vitest';
import { closed } from '../../test/support/http.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { endInOrder } from './ending.ts';

async function startServer() {
  const app = Fastify();
  const server = { app, port: 0, seen: 0, heldBack: [] as (() => void)[] };
  endInOrder(app, { endWaits: () => server.heldBack.forEach((release) => void release()) });
  app.addHook('onRequest', async () => {
    server.seen++;
  });
  app.get('/now', async () => 'now');
  app.get('/held', () => new Promise((resolve) => server.heldBack.push(() => resolve('held'))));
  app.get('/never', () => new Promise(() => {}));
  app.post('/', async () => 'posted');
  await app.listen({ host: '127.0.0.1', port: 0 });
  server.port = (app.server.address() as AddressInfo).port;
  onTestFinished(() => app.server.closeAllConnections());
  return server;
}

/** A connection on which so much was sent, once the server has accepted it. */
async function connected(port: number, sent: string): Promise<{ socket: Socket; received(): string }> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  socket.write(sent);
  return { socket, received: () => text };
}

const head = (line: string, more = ''): string => `${line} HTTP/1.1\r\nhost: a\r\n${more}\r\n`;
const countConnections = ({ server }: FastifyInstance): Promise<number> =>
  new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));

test('who is silent holds up nothing, and who waits gets an answer', async () => {
  const { app, port, ...server } = await startServer();
  const silent = await connected(port, '');
  const half = await connected(port, 'GET /now HT');
  const between = await connected(port, head('GET /now'));
  const nextHalf = await connected(port, `${head('GET /now')}GET /now`);
  const held = await connected(port, head('GET /held'));
  await waitUntil('all are there', async () => (await countConnections(app)) === 5);
  await waitUntil('those have their answers', () =>
    [between, nextHalf].every(({ received }) => received().endsWith('now')),
  );
  await waitUntil('one is held', () => server.heldBack.length === 1);
  await app.close();
  await Promise.all([silent, half, between, nextHalf, held].map(({ socket }) => socket.destroyed || closed(socket)));
  expect([silent.received(), half.received()]).toEqual(['', '']);
  expect(held.received()).toMatch(/^HTTP\/1\.1 200 .*held$/s);
});

test('what does not come to its end in time is cut off', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const server = await startServer();
  const { app, port } = server;
  const body = await connected(port, `${head('POST /', 'content-type: text/plain\r\ncontent-length: 9\r\n')}half`);
  const never = await connected(port, head('GET /never'));
  await vi.waitUntil(() => server.seen === 2, { timeout: 30_000 });
  const gone = Promise.all([body, never].map(({ socket }) => closed(socket)));
  let isClosed = false;
  const closing = app.close().then(() => {
    isClosed = true;
  });
  vi.advanceTimersByTime(1_900);
  await new Promise<void>((resolve) => setImmediate(resolve));
  expect([isClosed, body.socket.destroyed, never.socket.destroyed]).toEqual([false, false, false]);
  const isOver = (): boolean => {
    vi.advanceTimersByTime(100);
    return isClosed;
  };
  await vi.waitUntil(isOver, { timeout: 30_000 });
  await Promise.all([closing, gone]);
});
