import type { PredictionEvent } from './prediction.ts';

/** How a run came to its end. */
export type Outcome =
  | { type: 'succeeded'; predictSeconds: number }
  | { type: 'failed'; error: string }
  | { type: 'canceled' }
  /** The engine process ended under it, or the worker could not do its part; `what` says which. */
  | { type: 'interrupted'; what: string }
  /** The host closes and gives the prediction back. */
  | { type: 'released' }
  /** Somebody else has the prediction now: nothing may be written. */
  | { type: 'lost' };

/** What the outcome means for the prediction; `undefined` when it means nothing. */
export function eventOf(outcome: Outcome, attempt: number, maxAttempts: number): PredictionEvent | undefined {
  if (outcome.type === 'lost') return undefined;
  if (outcome.type === 'interrupted') return { ...outcome, attempt, maxAttempts };
  return { ...outcome, attempt };
}
