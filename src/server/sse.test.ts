import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { waitUntil } from '../../test/support/wait-until.ts';
import { formatEvent, openEventStream, type ServerSentEvent } from './sse.ts';

const hour = 3_600_000;

function setUp(heartbeatMs = hour) {
  const queue: (ServerSentEvent | 'end')[] = [];
  let asked = 0;
  let closed = 0;
  const stream = openEventStream({
    next() {
      asked++;
      return queue.shift();
    },
    onClose() {
      closed++;
    },
    heartbeatMs,
  });
  return { queue, stream, asked: () => asked, closed: () => closed };
}

test('every line has its own field, and only line feeds end lines', () => {
  expect(formatEvent({ name: 'output', id: '1:2', data: ' a\nb\r\nc\rd\n' })).toBe(
    'event: output\nid: 1:2\ndata:  a\ndata: b\ndata: c\ndata: d\ndata: \n\n',
  );
});

test('begins at once, goes on when woken, ends when told', async () => {
  const { queue, stream, closed } = setUp();
  let text = '';
  stream.readable.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await turn();
  expect(text).toBe('retry: 1000\n: still here\n');
  queue.push({ name: 'output', id: '1:1', data: 'a' });
  stream.wake();
  await turn();
  expect(text).toBe('retry: 1000\n: still here\nevent: output\nid: 1:1\ndata: a\n\n');
  queue.push('end');
  stream.wake();
  stream.wake();
  stream.end();
  await once(stream.readable, 'close');
  expect(closed()).toBe(1);
  expect(text).toMatch(/data: a\n\n$/);
});

test('comments in between, each one line without a blank one', async () => {
  const { queue, stream } = setUp(5);
  let text = '';
  stream.readable.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await waitUntil('some comments', () => text.split(': still here').length > 4);
  queue.push({ name: 'done', id: '1:1', data: '{}' }, 'end');
  stream.wake();
  await once(stream.readable, 'close');
  expect(text).toMatch(/^retry: 1000\n(: still here\n){4,}event: done\nid: 1:1\ndata: \{\}\n\n$/);
});

test('a reader who does not read holds a buffer of fixed size, and loses nothing', async () => {
  const { queue, stream, asked } = setUp(1);
  for (let index = 0; index < 1_000; index++) queue.push({ name: 'output', id: `1:${index}`, data: 'x'.repeat(1_000) });
  queue.push('end');
  stream.readable.read(0);
  for (let index = 0; index < 50; index++) {
    stream.wake();
    await turn();
  }
  expect(asked()).toBeLessThan(30);
  expect(stream.readable.readableLength).toBeLessThan(20_000);
  let text = '';
  for await (const chunk of stream.readable) text += chunk;
  expect(text.match(/^id: .*/gm)).toEqual(Array.from({ length: 1_000 }, (_, index) => `id: 1:${index}`));
});

test('a reader who goes away leaves nothing', async () => {
  const { queue, stream, closed, asked } = setUp(1);
  stream.readable.resume();
  await turn();
  stream.readable.destroy();
  await once(stream.readable, 'close');
  expect(closed()).toBe(1);
  const before = asked();
  queue.push({ name: 'output', id: '1:1', data: 'a' });
  stream.wake();
  stream.end();
  expect(asked()).toBe(before);
});
