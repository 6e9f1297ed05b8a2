/**
 * The errors that cross folder borders. Only `server/errors.ts` knows HTTP status codes, and only
 * `predictions/` decides what an error means for a prediction.
 */

/** What the caller sent cannot be used. The message stands alone: it names the field and says what to change. */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly field: string | undefined;
  constructor(message: string, field?: string) {
    super(message);
    this.field = field;
  }
}

/** The named thing does not exist, or belongs to somebody else. */
export class NotFoundError extends Error {
  override readonly name = 'NotFoundError';
}

/** The prediction was canceled; not a fault of anybody. */
export class CanceledError extends Error {
  override readonly name = 'CanceledError';
  constructor(message = 'The prediction was canceled.') {
    super(message);
  }
}

/** A weight file is missing, damaged, hostile, or does not fit the network. */
export class WeightError extends Error {
  override readonly name = 'WeightError';
}

/** The engine could not do its work: out of memory, a graph that ONNX Runtime refuses, an engine that died. */
export class RuntimeFailure extends Error {
  override readonly name = 'RuntimeFailure';
}

/** A setting (environment variable or flag) cannot be used. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}
