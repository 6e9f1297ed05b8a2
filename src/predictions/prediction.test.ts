import { describe, expect, it } from 'vitest';
import { finishedPrediction } from '../../test/support/prediction.ts';
import {
  interruptedError,
  type Prediction,
  type PredictionEvent,
  type PredictionStatus,
  transition,
} from './prediction.ts';

const created = new Date('2026-01-01T00:00:00.000Z');
const started = new Date('2026-01-01T00:00:02.000Z');
const now = new Date('2026-01-01T00:00:05.500Z');

function prediction(status: PredictionStatus, changes: Partial<Prediction> = {}): Prediction {
  const running = status === 'processing';
  const terminal = !running && status !== 'starting';
  return {
    ...finishedPrediction,
    input: { prompt: 'x' },
    output: running ? ['one'] : null,
    logs: running ? 'step 1' : '',
    status,
    createdAt: created,
    startedAt: running ? started : null,
    completedAt: terminal ? started : null,
    metrics: terminal ? { total_time: 2 } : {},
    attempt: status === 'starting' ? 0 : 1,
    ...changes,
  };
}

const events: Record<PredictionEvent['type'], PredictionEvent> = {
  started: { type: 'started' },
  logged: { type: 'logged', attempt: 1, text: 'more\n' },
  output: { type: 'output', attempt: 1, output: ['one', 'two'] },
  succeeded: { type: 'succeeded', attempt: 1, predictSeconds: 3.25 },
  failed: { type: 'failed', attempt: 1, error: 'no face' },
  canceled: { type: 'canceled', attempt: 1 },
  cancelRequested: { type: 'cancelRequested' },
  deadlinePassed: { type: 'deadlinePassed' },
  interrupted: { type: 'interrupted', attempt: 1, what: 'engine gone', maxAttempts: 3 },
  released: { type: 'released', attempt: 1 },
  dataRemoved: { type: 'dataRemoved' },
};

const over = { completedAt: now, metrics: { predict_time: 3.5, total_time: 5.5 } };
const waiting = { status: 'starting', startedAt: null, output: null };
const removed = { input: {}, output: null, logs: '', dataRemoved: true };

/** What each event changes in each state; what is not listed changes nothing. */
const table: Record<PredictionStatus, Partial<Record<PredictionEvent['type'], object>>> = {
  starting: {
    started: { status: 'processing', startedAt: now, attempt: 1 },
    cancelRequested: { status: 'canceled', completedAt: now, cancelRequestedAt: now, metrics: { total_time: 5.5 } },
  },
  processing: {
    logged: { logs: 'step 1more\n' },
    output: { output: ['one', 'two'] },
    succeeded: { ...over, status: 'succeeded', metrics: { predict_time: 3.25, total_time: 5.5 } },
    failed: { ...over, status: 'failed', error: 'no face' },
    canceled: { ...over, status: 'canceled' },
    cancelRequested: { cancelRequestedAt: now },
    interrupted: {
      ...waiting,
      interruptions: 1,
      logs: 'step 1\n--- engine gone; starting again, attempt 2 of 3 ---\n',
    },
    released: { ...waiting, logs: 'step 1\n--- the worker was stopped; starting again elsewhere ---\n' },
  },
  succeeded: { dataRemoved: removed },
  failed: { dataRemoved: removed },
  canceled: { dataRemoved: removed },
  aborted: { dataRemoved: removed },
};

describe('transition', () => {
  for (const status of Object.keys(table) as PredictionStatus[]) {
    for (const event of Object.values(events)) {
      const changes = table[status][event.type];
      it(`${status}, ${event.type}: ${changes ? `changes ${Object.keys(changes).join(', ')}` : 'nothing'}`, () => {
        const before = prediction(status);
        const frozen = structuredClone(before);
        const after = transition(before, event, now);
        if (changes) expect(after).toEqual({ ...before, ...changes });
        else expect(after).toBe(before);
        expect(before).toEqual(frozen);
      });
    }
  }

  it.each(['logged', 'output', 'succeeded', 'failed', 'canceled', 'interrupted', 'released'] as const)(
    'ignores %s of an attempt that was given up',
    (type) => {
      const second = prediction('processing', { attempt: 2 });
      expect(transition(second, events[type], now)).toBe(second);
    },
  );

  it('ends as canceled, not again, when the engine or host goes after a cancel', () => {
    const asked = prediction('processing', { cancelRequestedAt: started });
    expect(transition(asked, events.interrupted, now)).toEqual({ ...asked, ...over, status: 'canceled' });
    expect(transition(asked, events.released, now)).toEqual({ ...asked, ...over, status: 'canceled' });
    expect(transition(asked, events.cancelRequested, now)).toBe(asked);
  });

  it('ends at its deadline: what waits was never started, what runs is canceled', () => {
    const later = new Date(now.getTime() + 1);
    const waits = prediction('starting', { deadline: now });
    expect(transition(prediction('starting', { deadline: later }), events.deadlinePassed, now)).toEqual({
      ...waits,
      deadline: later,
    });
    const aborted = { ...waits, status: 'aborted', completedAt: now, metrics: { total_time: 5.5 } };
    expect(transition(waits, events.deadlinePassed, now)).toEqual(aborted);
    expect(transition(waits, events.started, now)).toBe(waits);
    expect(transition(prediction('starting', { deadline: later }), events.started, now).status).toBe('processing');
    const runs = prediction('processing', { deadline: now });
    const asked = transition(runs, events.deadlinePassed, now);
    expect(asked).toEqual({ ...runs, cancelRequestedAt: now });
    expect(transition(asked, events.deadlinePassed, later)).toBe(asked);
    expect(transition(asked, events.canceled, now)).toMatchObject({ status: 'canceled', error: null });
    for (const status of ['succeeded', 'failed', 'canceled', 'aborted'] as const) {
      const over = prediction(status, { deadline: now });
      expect(transition(over, events.deadlinePassed, later)).toBe(over);
    }
  });

  it('fails at the last interruption', () => {
    const third = prediction('processing', { attempt: 5, interruptions: 2 });
    expect(transition(third, { ...events.interrupted, attempt: 5 } as PredictionEvent, now)).toMatchObject({
      status: 'failed',
      error: interruptedError,
      interruptions: 3,
      completedAt: now,
      logs: 'step 1\n--- engine gone; giving up after 3 attempts ---\n',
    });
    const only = transition(
      prediction('processing'),
      { ...events.interrupted, maxAttempts: 1 } as PredictionEvent,
      now,
    );
    expect(only).toMatchObject({ status: 'failed', logs: 'step 1\n--- engine gone; giving up after 1 attempt ---\n' });
  });

  it('removes data once', () => {
    const once = transition(prediction('succeeded'), events.dataRemoved, now);
    expect(transition(once, events.dataRemoved, now)).toBe(once);
  });
});
