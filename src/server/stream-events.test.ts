import { expect, test } from 'vitest';
import type { Progress } from '../predictions/progress.ts';
import { formatFileRef } from '../storage/file-ref.ts';
import type { ServerSentEvent } from './sse.ts';
import { beginning, isAtEnd, nextEvent, type Position, positionAfter } from './stream-events.ts';

const origin = 'https://box.example';
const key = 'AbCdEfGhIjKlMnOpQrStUv';
const created = Date.parse('2026-01-01T00:00:00.400Z') / 1000;
const output = (index: number) => formatFileRef({ key: `${key}${index}`, name: `out-${index}.png` });
const url = (index: number) => `${origin}/f/${key}${index}/out-${index}.png`;

function progressOf(changes: Partial<Progress>): Progress {
  return {
    id: '01hzy0h5jgvqq5fnghhped27q2',
    attempt: 1,
    status: 'processing',
    outputs: [],
    logs: '',
    error: null,
    createdAt: new Date(created * 1000),
    startedAt: new Date('2026-01-01T00:00:01Z'),
    completedAt: null,
    dataRemoved: false,
    ...changes,
  };
}

const ended = (changes: Partial<Progress>) =>
  progressOf({ completedAt: new Date('2026-01-01T00:00:09.9Z'), ...changes });

/** Everything that there is to send after `from`. */
function read(progress: Progress, from: Position = beginning, withLogs = false) {
  const events: ServerSentEvent[] = [];
  let position = from;
  for (;;) {
    const next = nextEvent(progress, position, { origin, withLogs });
    if (!next) return { events, position, short: events.map(({ name, data }) => `${name} ${data}`) };
    events.push(next.event);
    position = next.position;
  }
}

test('each output once, as it is finished, then the end', () => {
  const first = read(progressOf({ outputs: [output(0)] }));
  expect(first.events).toEqual([{ name: 'output', id: '1767225600:1000001', data: url(0) }]);
  const second = read(progressOf({ outputs: [output(0), output(1)] }), first.position);
  expect(second.events).toEqual([{ name: 'output', id: '1767225600:1000002', data: url(1) }]);
  const last = read(ended({ outputs: [output(0), output(1)], status: 'succeeded' }), second.position);
  expect(last.events).toEqual([{ name: 'done', id: '1767225609:1999999', data: '{}' }]);
  expect(isAtEnd(last.position)).toBe(true);
  expect(isAtEnd(second.position)).toBe(false);
});

test.each([
  ['succeeded', ['done {}']],
  ['canceled', ['done {"reason":"canceled"}']],
  ['aborted', ['done {"reason":"canceled"}']],
  ['failed', ['error {"detail":"no \\"face\\""}', 'done {"reason":"error"}']],
] as const)('the end of one that %s', (status, events) => {
  const error = status === 'failed' ? 'no "face"' : null;
  expect(read(ended({ status, error })).short).toEqual(events);
  expect(read(ended({ status, error, outputs: [output(0)] })).short).toEqual([`output ${url(0)}`, ...events]);
});

test('an attempt that starts over sends its own outputs, all of them', () => {
  const before = read(progressOf({ outputs: [output(0), output(1)] })).position;
  const waiting = read(progressOf({ status: 'starting', startedAt: null }), before);
  expect(waiting.events).toEqual([]);
  const again = read(progressOf({ attempt: 2, outputs: [output(2)] }), waiting.position);
  expect(again.events).toEqual([{ name: 'output', id: '1767225600:2000001', data: url(2) }]);
  // Canceled while it waited to start over.
  expect(read(ended({ status: 'canceled' }), before).short).toEqual(['done {"reason":"canceled"}']);
});

const stages = [
  progressOf({ logs: 'one\n' }),
  progressOf({ logs: 'one\ntwo\n', outputs: [output(0)] }),
  progressOf({ logs: 'one\ntwo\n--- again ---\n', status: 'starting', startedAt: null }),
  progressOf({ logs: 'one\ntwo\n--- again ---\n', attempt: 2, outputs: [output(1)] }),
  progressOf({ logs: 'one\ntwo\n--- again ---\nthree\n', attempt: 2, outputs: [output(1), output(2)] }),
  ended({
    logs: 'one\ntwo\n--- again ---\nthree\nfour\n',
    attempt: 2,
    outputs: [output(1), output(2)],
    status: 'failed',
    error: 'x',
  }),
];

test.each([false, true])('a reader who comes back after any event gets the rest (with logs: %s)', (withLogs) => {
  for (const [index, progress] of stages.entries()) {
    const { events } = read(progress, beginning, withLogs);
    for (const [sent, { id }] of events.entries()) {
      const now = read(progress, positionAfter(progress, id, withLogs), withLogs);
      expect(now.events).toEqual(events.slice(sent + 1));
      for (const later of stages.slice(index + 1)) {
        const rest = read(later, positionAfter(later, id, withLogs), withLogs);
        const before = events.slice(0, sent + 1);
        const outputs = before.filter(({ name }) => name === 'output').length;
        const kept = later.attempt === progress.attempt ? outputs : 0;
        const text = (from: ServerSentEvent[]) => from.map(({ name, data }) => (name === 'logs' ? data : '')).join('');
        expect(rest.short.filter((line) => line.startsWith('output'))).toEqual(
          read(later)
            .short.filter((line) => line.startsWith('output'))
            .slice(kept),
        );
        if (withLogs) expect(text(before) + text(rest.events)).toBe(later.logs);
      }
    }
  }
});

test.each([
  undefined,
  '',
  'x',
  '1767225600',
  '1767225600:',
  '1767225600:-1',
  `1767225600:${'9'.repeat(24)}`,
  '1767225601:1000001',
  '1767225600:1000003',
  '1767225600:3000001',
  '1767225609:1999998',
  '1767225600:1999999',
  '1767225600:1000001\n',
])('last event %j: from the beginning', (id) => {
  const progress = ended({ attempt: 2, outputs: [output(0), output(1)], status: 'succeeded' });
  const [first, ...rest] = read(progress, positionAfter(progress, id, false)).events;
  expect(first).toMatchObject({ name: 'output', data: url(0) });
  expect(rest).toHaveLength(2);
});

test('logs only for who asks, in pieces that put together are the logs', () => {
  const logs = `${'é\u{1f600}'.repeat(9_000)}\n 40%|####      | 8/20\n`;
  expect(read(progressOf({ logs })).events).toEqual([]);
  const { events, position } = read(progressOf({ logs }), beginning, true);
  expect(events.length).toBeGreaterThan(1);
  expect(events.map(({ data }) => data).join('')).toBe(logs);
  for (const { name, data, id } of events) {
    expect(name).toBe('logs');
    // Not half a character, which would be replaced on the way.
    expect(Buffer.from(data).toString()).toBe(data);
    expect(id).toMatch(/^\d+:1000000\d{9}$/);
  }
  expect(read(progressOf({ logs: `${logs}more` }), position, true).short).toEqual(['logs more']);
  // An id of the stream without logs means nothing here.
  const progress = progressOf({ logs, outputs: [output(0), output(1)] });
  expect(positionAfter(progress, '1767225600:1000001', true)).toEqual(beginning);
});
