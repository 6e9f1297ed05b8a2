import { afterEach, expect, test, vi } from 'vitest';
import { createLog } from '../base/log.ts';
import { createInterim, type Happening } from './interim.ts';
import type { Message, Post } from './post.ts';
import { mostPerHost, usualTiming } from './timing.ts';

const log = createLog('silent');
const timing = { ...usualTiming, throttleMs: 100 };

afterEach(() => {
  vi.useRealTimers();
});

interface Sent {
  body: string;
  /** On the clock of `performance.now`. */
  at: number;
  signal: AbortSignal;
  answer(): void;
}

/** A receiver in the place of the network: it answers when the test says so. */
function recordingPost(answerAtOnce = true): { post: Post; sent: Sent[] } {
  const sent: Sent[] = [];
  const post = ({ body }: Message, signal: AbortSignal) =>
    new Promise<{ status: number; error: undefined }>((resolve, reject) => {
      const answer = () => resolve({ status: 204, error: undefined });
      sent.push({ body, at: performance.now(), signal, answer });
      signal.addEventListener('abort', () => reject(signal.reason as Error));
      if (answerAtOnce) answer();
    });
  return { post, sent };
}

function happening(event: Happening['event'], text: string, predictionId = 'one'): Happening {
  const webhook = { url: 'https://x.example/hook', allowPrivate: false };
  return { predictionId, account: 'ada', webhook, event, body: () => text };
}

test('start goes at once; output and logs together at most once in the time, with the latest state', async () => {
  vi.useFakeTimers();
  const { post, sent } = recordingPost();
  const interim = createInterim(post, timing, log);
  const begun = performance.now();
  interim.tell(happening('start', 'start'));
  expect(sent).toHaveLength(1);
  for (let place = 0; place < 49; place++) {
    interim.tell(happening(place % 3 === 0 ? 'output' : 'logs', String(place)));
    await vi.advanceTimersByTimeAsync(5);
  }
  await vi.advanceTimersByTimeAsync(500);
  const told = sent.slice(1).map(({ at, body }) => [at - begun, body]);
  expect(told).toEqual([
    [0, '0'],
    [100, '19'],
    [200, '39'],
    [300, '48'],
  ]);
  await interim.close();
});

test('one prediction does not wait for the throttle of another', async () => {
  vi.useFakeTimers();
  const { post, sent } = recordingPost();
  const interim = createInterim(post, timing, log);
  for (let index = 0; index < 8; index++) interim.tell(happening('logs', String(index), `prediction ${index}`));
  await vi.advanceTimersByTimeAsync(1);
  expect(sent).toHaveLength(8);
  await interim.close();
});

test('while the receiver is busy later ones replace each other, and the order stays', async () => {
  vi.useFakeTimers();
  const { post, sent } = recordingPost(false);
  const interim = createInterim(post, { ...timing, throttleMs: 1 }, log);
  interim.tell(happening('start', 'start'));
  for (const text of ['a', 'b', 'c']) interim.tell(happening('logs', text));
  await vi.advanceTimersByTimeAsync(30);
  expect(sent.map(({ body }) => body)).toEqual(['start']);
  sent[0]!.answer();
  await vi.advanceTimersByTimeAsync(1);
  expect(sent[1]!.body).toBe('c');
  interim.tell(happening('logs', 'd'));
  sent[1]!.answer();
  await vi.advanceTimersByTimeAsync(1);
  expect(sent.slice(2).map(({ body }) => body)).toEqual(['d']);
  await interim.close();
});

test('the end drops what waits and stops what is under way, but for the start', async () => {
  vi.useFakeTimers();
  const { post, sent } = recordingPost(false);
  const interim = createInterim(post, { ...timing, throttleMs: 1 }, log);
  interim.tell(happening('start', 'start', 'short'));
  interim.tell(happening('logs', 'never', 'short'));
  interim.tell(happening('logs', 'under way', 'long'));
  await vi.advanceTimersByTimeAsync(1);
  interim.tell(happening('logs', 'never', 'long'));
  interim.drop('short');
  interim.drop('long');
  expect(sent[0]!.signal.aborted).toBe(false);
  expect(sent[1]!.signal.aborted).toBe(true);
  sent[0]!.answer();
  await vi.advanceTimersByTimeAsync(30);
  expect(sent.map(({ body }) => body)).toEqual(['start', 'under way']);
  await interim.close();
});

test('nothing piles up before a receiver that hangs, and closing ends what is left', async () => {
  const { post, sent } = recordingPost(false);
  const interim = createInterim(post, timing, log);
  for (let index = 0; index < 100; index++) interim.tell(happening('start', '', String(index)));
  expect(sent).toHaveLength(mostPerHost);
  const other = { ...happening('start', 'other', 'other'), webhook: { url: 'https://y.example', allowPrivate: false } };
  interim.tell(other);
  expect(sent.at(-1)!.body).toBe('other');
  await interim.close();
  expect(sent.every(({ signal }) => signal.aborted)).toBe(true);
  interim.tell(other);
  expect(sent).toHaveLength(mostPerHost + 1);
});
