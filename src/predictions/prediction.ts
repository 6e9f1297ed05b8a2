import type { Webhook, WebhookEvent } from '../webhooks/webhook.ts';

/** A prediction's life. States are Replicate's own words; see the diagram in ARCHITECTURE.md. */
export type PredictionStatus = 'starting' | 'processing' | 'succeeded' | 'failed' | 'canceled' | 'aborted';

export interface Prediction {
  id: string;
  account: string;
  /** `owner/name`. */
  model: string;
  version: string;
  /** As sent; stored files as references (`storage/file-ref.ts`). */
  input: Record<string, unknown>;
  /** Names of the inputs that hold references; a prompt may look like one and stays a prompt. */
  fileInputs: readonly string[];
  /** JSON value of the model; stored files as references. */
  output: unknown;
  logs: string;
  error: string | null;
  status: PredictionStatus;
  source: 'api' | 'web';
  /** `owner/name` of the deployment that it runs under. */
  deployment: string | null;
  origin: string;
  createdAt: Date;
  startedAt: Date | null;
  completedAt: Date | null;
  /** `predict_time`, `total_time`: seconds. */
  metrics: Record<string, number>;
  dataRemoved: boolean;
  /** How often the prediction was started; also the fence that keeps a lost host from writing (`store.ts`). */
  attempt: number;
  /** How often an engine or a host died under it; at `maxAttempts` it fails. */
  interruptions: number;
  cancelRequestedAt: Date | null;
  /** Who knows it may follow the prediction. */
  streamKey: string;
  /** Where its events go. */
  webhook: Webhook | null;
  /** As sent; which events are sent is for `webhooks/webhook.ts` to say. */
  webhookEventsFilter: readonly WebhookEvent[] | null;
  /** When it is given up, unless it has ended. */
  deadline: Date | null;
  /** Whether its readers know the status `aborted`; others are told `canceled`. */
  reportsAborted: boolean;
}

/** What can happen to a prediction. Events with an `attempt` come from a host and count only for that attempt. */
export type PredictionEvent =
  /** A host took it and an engine is about to run it. */
  | { type: 'started' }
  | { type: 'logged'; attempt: number; text: string }
  /** One more output file: the whole output so far. */
  | { type: 'output'; attempt: number; output: unknown }
  | { type: 'succeeded'; attempt: number; predictSeconds: number }
  | { type: 'failed'; attempt: number; error: string }
  /** The engine stopped because it was asked to, or was ended because it did not. */
  | { type: 'canceled'; attempt: number }
  /** The caller wants it to end. */
  | { type: 'cancelRequested' }
  /** Its deadline may have come. */
  | { type: 'deadlinePassed' }
  /** The engine or its host ended in the middle; `what` says which, for the logs. */
  | { type: 'interrupted'; attempt: number; what: string; maxAttempts: number }
  /** The host closes in good order and gives the prediction back. */
  | { type: 'released'; attempt: number }
  | { type: 'dataRemoved' };

/** In the wording that callers know from the service whose API this is. */
export const interruptedError = 'Prediction interrupted; please retry (code: PA)';

export function isTerminal(status: PredictionStatus): boolean {
  return status !== 'starting' && status !== 'processing';
}

/**
 * The prediction after the event; the very same object when the event changes nothing, because it comes too late,
 * from an attempt that was given up, or for the second time. A terminal state is never left.
 */
export function transition(before: Prediction, event: PredictionEvent, at: Date): Prediction {
  if ('attempt' in event && (before.status !== 'processing' || event.attempt !== before.attempt)) return before;
  switch (event.type) {
    case 'started':
      // Past its deadline it is not worth a start; `deadlinePassed` ends it.
      if (before.status !== 'starting' || isOverdue(before, at)) return before;
      return { ...before, status: 'processing', startedAt: at, attempt: before.attempt + 1 };
    case 'logged':
      return event.text === '' ? before : { ...before, logs: before.logs + storable(event.text) };
    case 'output':
      return { ...before, output: event.output };
    case 'succeeded':
      return ended(before, 'succeeded', at, event.predictSeconds);
    case 'failed':
      return { ...ended(before, 'failed', at), error: storable(event.error) };
    case 'canceled':
      return ended(before, 'canceled', at);
    case 'cancelRequested':
      if (before.status === 'starting') return { ...ended(before, 'canceled', at), cancelRequestedAt: at };
      return cancelRunning(before, at);
    case 'deadlinePassed':
      if (!isOverdue(before, at)) return before;
      return before.status === 'starting' ? ended(before, 'aborted', at) : cancelRunning(before, at);
    case 'interrupted':
      return interrupted(before, event, at);
    case 'released':
      return before.cancelRequestedAt
        ? ended(before, 'canceled', at)
        : waitingAgain(before, 'the worker was stopped; starting again elsewhere');
    case 'dataRemoved':
      if (!isTerminal(before.status) || before.dataRemoved) return before;
      return { ...before, input: {}, output: null, logs: '', dataRemoved: true };
  }
}

function isOverdue({ deadline }: Prediction, at: Date): boolean {
  return deadline !== null && at >= deadline;
}

function cancelRunning(before: Prediction, at: Date): Prediction {
  if (before.status !== 'processing' || before.cancelRequestedAt) return before;
  return { ...before, cancelRequestedAt: at };
}

function interrupted(before: Prediction, event: PredictionEvent & { type: 'interrupted' }, at: Date): Prediction {
  if (before.cancelRequestedAt) return ended(before, 'canceled', at);
  const interruptions = before.interruptions + 1;
  if (interruptions >= event.maxAttempts) {
    const marker = `${event.what}; giving up after ${count(interruptions, 'attempt')}`;
    return { ...ended(withMarker(before, marker), 'failed', at), interruptions, error: interruptedError };
  }
  const marker = `${event.what}; starting again, attempt ${interruptions + 1} of ${event.maxAttempts}`;
  return { ...waitingAgain(before, marker), interruptions };
}

function waitingAgain(before: Prediction, marker: string): Prediction {
  return { ...withMarker(before, marker), status: 'starting', startedAt: null, output: null };
}

function withMarker(before: Prediction, marker: string): Prediction {
  const gap = before.logs === '' || before.logs.endsWith('\n') ? '' : '\n';
  return { ...before, logs: `${before.logs}${gap}--- ${marker} ---\n` };
}

function ended(before: Prediction, status: PredictionStatus, at: Date, predictSeconds?: number): Prediction {
  const metrics: Record<string, number> = {};
  const running = before.startedAt ? secondsBetween(before.startedAt, at) : undefined;
  const predictTime = predictSeconds ?? running;
  if (predictTime !== undefined) metrics.predict_time = predictTime;
  metrics.total_time = secondsBetween(before.createdAt, at);
  return { ...before, status, completedAt: at, metrics };
}

/** Text is kept as PostgreSQL keeps it, so that everybody is told the same: without NUL and halves of surrogate pairs. */
function storable(text: string): string {
  return text.replace(/\0|\p{Surrogate}/gu, '\uFFFD');
}

function secondsBetween(from: Date, to: Date): number {
  return (to.getTime() - from.getTime()) / 1000;
}

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? '' : 's'}`;
}
