/**
 * What a worker host and its engine process say to each other, over the child's IPC channel. Messages are small:
 * pictures travel as files, named by path. Types only; nothing here runs.
 */

export type HostMessage =
  /** Run a prediction. `input` holds every field with defaults filled in and files as local paths. */
  | { type: 'predict'; id: string; model: string; input: Record<string, unknown>; outputFolder: string }
  /** Stop at the next step. Ignored when the prediction has already ended. */
  | { type: 'cancel'; id: string }
  /** Somebody watches the prediction; said again every few seconds while it is so. */
  | { type: 'watch'; id: string }
  /** End the process once idle. */
  | { type: 'shutdown' };

export type EngineMessage =
  /** The process can take its first prediction. */
  | { type: 'ready' }
  /** Text to append to the prediction's logs; ends with a newline. */
  | { type: 'log'; id: string; text: string }
  | { type: 'progress'; id: string; current: number; total: number }
  /** How a watched prediction looks now: a data URL of a few kilobytes. */
  | { type: 'preview'; id: string; picture: string }
  /** One more output file is complete, in the order of the output. */
  | { type: 'output'; id: string; name: string; contentType: string; path: string }
  /** The prediction ended; exactly one of these three per `predict`. */
  | { type: 'succeeded'; id: string; predictSeconds: number }
  | { type: 'failed'; id: string; error: string; cause: 'input' | 'weights' | 'engine' }
  | { type: 'canceled'; id: string };

/** Longest text of one `log` message; longer lines are cut, so that a runaway model cannot fill the channel. */
export const longestLogText = 16_384;
