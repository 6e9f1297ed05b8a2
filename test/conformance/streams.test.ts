/** Event streams, by the unmodified client and byte by byte. Numbers are those of docs/api.md. */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import Replicate, { type Prediction } from 'replicate';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readEvents } from '../support/event-source.ts';
import { endless, makeGate } from '../support/gate.ts';
import { closed, exchange, requestHead } from '../support/http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

const echo = `test/echo:${'e'.repeat(64)}` as const;
const unknownKey = '0'.repeat(32);

let server: TestServer;
let replicate: Replicate;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_streams'] });
  replicate = new Replicate({ auth: 'r8_streams', baseUrl: `${server.origin}/v1` });
});
afterAll(() => server?.close());

const create = async (model: string, input: object): Promise<Prediction & { urls: { stream: string } }> => {
  const prediction = await replicate.predictions.create({ model, input });
  return prediction as typeof prediction & { urls: { stream: string } };
};
const bytesAt = async (url: string) => (await fetch(url)).text();

test('S50 stream() of the client hands out files as they are finished, then ends', async () => {
  const events: { event: string; data: unknown; id?: string }[] = [];
  for await (const event of replicate.stream(echo, { input: { text: 'seen', num_outputs: 3 } })) events.push(event);
  expect(events.map(({ event }) => event)).toEqual(['output', 'output', 'output', 'done']);
  for (const [index, { data, id }] of events.slice(0, 3).entries()) {
    const file = data as { blob(): Promise<Blob>; url(): URL };
    expect(file.url().href).toMatch(`out-${index}.txt`);
    expect(await (await file.blob()).text()).toBe(`seen ${index}`);
    expect(id).toMatch(/^\d+:\d+$/);
  }
  expect(events.at(-1)?.data).toBe('{}');
});

test('S50 stream() of one file, and by model name', async () => {
  const events: unknown[] = [];
  for await (const { event, data } of replicate.stream('test/single', { input: {} })) events.push([event, `${data}`]);
  expect(events).toEqual([
    ['output', expect.stringMatching(/\/out\.txt$/)],
    ['done', '{}'],
  ]);
});

test('S51 stream() throws what went wrong', async () => {
  const stream = replicate.stream('test/troubled', { input: { trouble: 'throw' } });
  const read = async () => {
    for await (const _ of stream);
  };
  await expect(read()).rejects.toThrow('{"detail":"the model broke"}');
});

test('S50 S21 an output is sent while the prediction runs and GET shows none yet', async () => {
  const gate = makeGate(server);
  const { id, urls } = await create('test/echo', { num_outputs: 2, until: gate.path });
  const stream = await readEvents(urls.stream);
  const first = await stream.next();
  const now = await replicate.predictions.get(id);
  expect(now).toMatchObject({ status: 'processing', output: null });
  expect(await bytesAt(first!.data)).toBe('hello 0');
  gate.open();
  const [second, done] = await stream.rest();
  expect(done).toMatchObject({ event: 'done', data: '{}' });
  const ended = await replicate.predictions.get(id);
  expect(ended.output).toEqual([first!.data, second!.data]);
  expect(ended.logs).toMatch('steps 2');
});

test('S52 the form of the bytes and of the reply', async () => {
  const { id, urls } = await create('test/echo', {});
  expect(urls.stream).toMatch(new RegExp(`^${server.origin}/v1/files/stream-${id}-[0-9a-f]{32}$`));
  const stream = await readEvents(urls.stream, { authorization: 'Bearer r8_streams', origin: 'https://app.example' });
  await stream.rest();
  expect(Object.fromEntries(stream.headers)).toMatchObject({
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    'access-control-allow-origin': '*',
  });
  const event = (name: string) => `event: ${name}\\nid: \\d+:\\d+\\ndata: .+\\n\\n`;
  const heartbeat = ': still here\n';
  const first = `retry: 1000\n${heartbeat}`;
  expect(stream.text().slice(0, first.length)).toBe(first);
  const rest = stream.text().slice(first.length).replaceAll(heartbeat, '');
  expect(rest).toMatch(new RegExp(`^${event('output')}${event('done')}$`));
  expect(server.log()).not.toContain(urls.stream.slice(-32));
  const { port } = server;
  const path = new URL(urls.stream).pathname;
  const reply = await exchange(port, requestHead(`HEAD ${path}`));
  expect(reply).toMatch(/^HTTP\/1.1 405 /);
  expect(await exchange(port, requestHead(`GET ${path.slice(3)}`))).toMatch(/^HTTP\/1.1 200 /);
});

test('S50 a stream begins while the prediction is queued, and tells of a cancel', async () => {
  const running = await create('test/echo', { steps: endless, step_ms: 10 });
  const queued = await create('test/echo', {});
  const streams = [await readEvents(running.urls.stream), await readEvents(queued.urls.stream)];
  await waitUntil('it runs', async () => (await replicate.predictions.get(running.id)).status === 'processing');
  for (const { id } of [queued, running]) await replicate.predictions.cancel(id);
  for (const stream of streams) {
    expect(await stream.rest()).toMatchObject([{ event: 'done', data: '{"reason":"canceled"}' }]);
  }
});

test('S51 an error, then the end', async () => {
  const { urls } = await create('test/troubled', { trouble: 'throw' });
  const events = await (await readEvents(urls.stream)).rest();
  expect(events.slice(1)).toMatchObject([
    { event: 'error', data: '{"detail":"the model broke"}' },
    { event: 'done', data: '{"reason":"error"}' },
  ]);
});

test('S53 D52 replay, resume after any event, and nothing after the end', async () => {
  const { urls } = await create('test/echo', { num_outputs: 3 });
  const events = await (await readEvents(urls.stream)).rest();
  expect(events.map(({ event }) => event)).toEqual(['output', 'output', 'output', 'done']);
  expect(new Set(events.map(({ id }) => id)).size).toBe(4);
  for (const [index, { id }] of events.slice(0, 3).entries()) {
    const rest = await (await readEvents(urls.stream, { 'last-event-id': id })).rest();
    expect(rest).toEqual(events.slice(index + 1));
  }
  expect((await readEvents(urls.stream, { 'last-event-id': events[3]!.id })).status).toBe(204);
  for (const id of ['nonsense', '1:1', '9999999999:1000001']) {
    expect(await (await readEvents(urls.stream, { 'last-event-id': id })).rest()).toEqual(events);
  }
});

test('D51 what an interrupted attempt made is sent anew by the next', async () => {
  const counter = join(server.home, 'starts');
  const gate = makeGate(server);
  const { urls } = await create('test/troubled', { trouble: 'exit', times: 1, counter, until: gate.path });
  const stream = await readEvents(urls.stream);
  const first = await stream.next();
  gate.open();
  const events = [first!, ...(await stream.rest())];
  expect(events.map(({ event, data }) => [event, data.split('/').at(-1)])).toEqual([
    ['output', 'half.txt'],
    ['output', 'well.txt'],
    ['done', '{}'],
  ]);
  const resumed = await readEvents(urls.stream, { 'last-event-id': events[0]!.id });
  expect(await resumed.rest()).toEqual(events.slice(1));
  expect(await (await readEvents(urls.stream)).rest()).toEqual(events.slice(1));
  expect(await bytesAt(events[1]!.data)).toBe('well');
});

test('D50 logs for those who ask', async () => {
  const gate = makeGate(server);
  const { id, urls } = await create('test/echo', { ...gate.running, num_outputs: 2 });
  const stream = await readEvents(`${urls.stream}?logs=true`);
  const events = [await stream.next(), await stream.next()].map((event) => event!);
  gate.open();
  events.push(...(await stream.rest()));
  const logs = events.filter(({ event }) => event === 'logs');
  expect(logs.length).toBeGreaterThan(1);
  expect(logs.map(({ data }) => data).join('')).toBe((await replicate.predictions.get(id)).logs);
  const names = events.filter(({ event }) => event !== 'logs').map(({ event }) => event);
  expect(names).toEqual(['output', 'output', 'done']);
  for (const [index, event] of events.slice(0, -1).entries()) {
    if (index % 5 !== 0) continue;
    const rest = await (await readEvents(`${urls.stream}?logs=true`, { 'last-event-id': event.id })).rest();
    const text = (part: typeof events) => part.map(({ event, data }) => (event === 'logs' ? data : '')).join('');
    expect(text(rest)).toBe(text(events.slice(index + 1)));
  }
});

test('S54 no stream without its key, and none of removed data', async () => {
  const { id, urls } = await create('test/echo', {});
  await (await readEvents(urls.stream)).rest();
  for (const url of [
    urls.stream.replace(/.{32}$/, unknownKey),
    urls.stream.slice(0, -1),
    urls.stream.replace(id, 'x'),
    `${server.origin}/v1/files/stream-`,
    `${server.origin}/v1/files/stream-%00`,
  ]) {
    const response = await fetch(url, { headers: { authorization: 'Bearer r8_streams' } });
    expect([url, response.status]).toEqual([url, 404]);
  }
  await server.removeData();
  const response = await fetch(urls.stream);
  expect(response.status).toBe(410);
  expect(await response.json()).toMatchObject({
    title: 'Gone',
    status: 410,
    detail: expect.stringMatching('removed'),
  });
});

test('S50 a thousand readers who vanish leave nothing behind', { timeout: 120_000 }, async () => {
  const { id, urls } = await create('test/echo', { steps: endless, step_ms: 100 });
  // From then on the server itself holds the same for as long as it lasts.
  await waitUntil('it runs', async () => (await replicate.predictions.get(id)).status === 'processing');
  const path = new URL(urls.stream).pathname;
  let following = 0;
  const follow = server.predictions.follow;
  const spy = vi.spyOn(server.predictions, 'follow').mockImplementation((...given) => {
    const stop = follow(...given);
    following++;
    let stopped = false;
    return () => {
      stop();
      if (!stopped) following--;
      stopped = true;
    };
  });
  const held = () => process.getActiveResourcesInfo().filter((name) => /^(Timeout|TCPSocketWrap)$/.test(name)).length;
  const before = held();
  const sockets: Socket[] = [];
  let begun = 0;
  for (let index = 0; index < 1_000; index++) {
    const socket = connect(server.port, '127.0.0.1', () => {
      socket.write(requestHead(`GET ${path}`, { connection: 'keep-alive' }));
    });
    socket.on('error', () => {});
    socket.once('data', () => begun++);
    sockets.push(socket);
    // More than that do not fit into the queue of connections to accept, and TCP tries again seconds later.
    if (sockets.length % 250 === 0) await waitUntil('they have begun', () => begun === sockets.length, 90_000);
  }
  // Some hang up before they have an answer.
  for (let index = 0; index < 200; index++) {
    const socket = connect(server.port, '127.0.0.1', () => {
      socket.write(requestHead(`GET ${path}`, { connection: 'keep-alive' }), () => socket.destroy());
    });
    socket.on('error', () => {});
  }
  expect(following).toBeGreaterThanOrEqual(1_000);
  expect(held()).toBeGreaterThan(before + 1_000);
  // Some hang up, some break off.
  for (const [index, socket] of sockets.entries()) index % 2 === 0 ? socket.destroy() : socket.resetAndDestroy();
  await waitUntil('nobody is followed', () => following === 0);
  await waitUntil('nothing is held', () => held() <= before);
  spy.mockRestore();
  expect(server.log()).not.toContain(path.slice(-32));
  await replicate.predictions.cancel(id);
});

test('D19 S53 a server that ends lets streams go without their end', async () => {
  const { urls } = await create('test/echo', { steps: endless, step_ms: 100 });
  const socket = connect(server.port, '127.0.0.1');
  let received = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text;
  });
  socket.write(requestHead(`GET ${new URL(urls.stream).pathname}`, { connection: 'keep-alive' }));
  await waitUntil('the stream has begun', () => received.includes(': still here'));
  const gone = closed(socket);
  const ending = server.close();
  await gone;
  await ending;
  // The last chunk: an end in good order, after which clients connect again.
  expect(received).toMatch(/\r\n0\r\n\r\n$/);
  expect(received).not.toContain('event:');
});
