/**
 * The events of a prediction's stream, derived from its row alone: what was sent before is said by the last event's id,
 * so a stream goes on after any break, on any server.
 */
import { isTerminal } from '../predictions/prediction.ts';
import type { Progress } from '../predictions/progress.ts';
import { parseFileRef } from '../storage/file-ref.ts';
import { fileUrl } from '../storage/file-url.ts';
import type { ServerSentEvent } from './sse.ts';

/** Where a reader is. */
export interface Position {
  /** An attempt that starts over begins with its own first output: the files of the one before are gone. */
  attempt: number;
  /** Outputs of the attempt that were sent, or one of the last steps. */
  step: number;
  /** Characters of the logs that were sent. They grow over all attempts. */
  logs: number;
}

export interface StreamView {
  /** Where the reader reaches this server; URLs begin with it. */
  origin: string;
  withLogs: boolean;
}

export const beginning: Position = { attempt: 0, step: 0, logs: 0 };

const stepsOfAttempt = 1_000_000;
/** After every output. */
const errorStep = 999_998;
const doneStep = 999_999;
/** Digits that the place in the logs takes in an id; only streams with logs have them. */
const logDigits = 9;
/** Longest text of one event with logs, characters. */
const longestText = 16_384;

/** The event after `position`, and where the reader is then; `undefined` when there is none yet. */
export function nextEvent(
  progress: Progress,
  position: Position,
  { origin, withLogs }: StreamView,
): { event: ServerSentEvent; position: Position } | undefined {
  const { attempt, outputs, logs, status, error } = progress;
  const here = position.attempt === attempt ? position : { attempt, step: 0, logs: position.logs };
  const eventAt = (next: Position, name: string, data: string) => ({
    event: { name, id: eventId(progress, next, withLogs), data },
    position: next,
  });
  if (here.step === doneStep) return undefined;
  if (withLogs && here.logs < logs.length) {
    const text = wholeCharacters(logs.slice(here.logs, here.logs + longestText));
    return eventAt({ ...here, logs: here.logs + text.length }, 'logs', text);
  }
  if (here.step < outputs.length) {
    const ref = parseFileRef(outputs[here.step]);
    return eventAt({ ...here, step: here.step + 1 }, 'output', ref ? fileUrl(ref, origin) : outputs[here.step]!);
  }
  if (!isTerminal(status)) return undefined;
  if (status === 'failed' && here.step < errorStep) {
    return eventAt({ ...here, step: errorStep }, 'error', JSON.stringify({ detail: error }));
  }
  return eventAt({ ...here, step: doneStep }, 'done', JSON.stringify(reasonOf(status)));
}

/** Whether nothing can come after it. */
export function isAtEnd({ step }: Position): boolean {
  return step === doneStep;
}

/** The place behind the event that a returning reader saw last; the beginning when it is none of this prediction's. */
export function positionAfter(progress: Progress, lastEventId: string | undefined, withLogs: boolean): Position {
  const [, seconds, digits] = /^(\d{1,12}):(\d{1,24})$/.exec(lastEventId ?? '') ?? [];
  if (seconds === undefined || digits === undefined) return beginning;
  const sequence = Number(withLogs ? digits.slice(0, -logDigits) : digits);
  const position = {
    attempt: Math.floor(sequence / stepsOfAttempt),
    step: sequence % stepsOfAttempt,
    logs: withLogs ? Number(digits.slice(-logDigits)) : 0,
  };
  return isPlaceIn(progress, position) && Number(seconds) === secondsOf(progress, position) ? position : beginning;
}

function isPlaceIn({ attempt, outputs, logs, status }: Progress, position: Position): boolean {
  if (position.attempt > attempt || position.logs > logs.length) return false;
  if (position.attempt < attempt || position.step <= outputs.length) return true;
  if (position.step >= errorStep) return isTerminal(status) && (status === 'failed' || position.step === doneStep);
  // What the attempt had made went when it was interrupted.
  return outputs.length === 0 && status !== 'processing';
}

/** `<unix seconds>:<sequence>`: the same event has the same id however often it is sent, and later ones a larger one. */
function eventId(progress: Progress, position: Position, withLogs: boolean): string {
  const sequence = position.attempt * stepsOfAttempt + position.step;
  const logs = withLogs ? String(position.logs).padStart(logDigits, '0') : '';
  return `${secondsOf(progress, position)}:${sequence}${logs}`;
}

/** Also what tells a prediction's ids from those of another. */
function secondsOf({ createdAt, completedAt }: Progress, { step }: Position): number {
  const at = step >= errorStep ? completedAt! : createdAt;
  return Math.floor(at.getTime() / 1000);
}

function reasonOf(status: Progress['status']): { reason?: string } {
  if (status === 'succeeded') return {};
  return { reason: status === 'failed' ? 'error' : 'canceled' };
}

/** Without half a character at its end. */
function wholeCharacters(text: string): string {
  return /[\uD800-\uDBFF]$/.test(text) ? text.slice(0, -1) : text;
}
