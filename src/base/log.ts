import { type Logger, pino } from 'pino';
import type { Settings } from './settings.ts';

export type { Logger };

/**
 * Structured logs on standard error, one JSON object a line. Tokens and file contents never reach it: requests are
 * logged by method, path and status alone, and these paths are redacted should a caller of the logger forget.
 */
export function createLog(level: Settings['logLevel']): Logger {
  return pino(
    { level, base: undefined, redact: ['*.authorization', 'authorization', '*.input', 'input', '*.token', 'token'] },
    // Nobody waits for whoever reads the log: lines of one moment are written together, also those before an exit. Should
    // the reader fall behind by this many characters, it misses lines.
    pino.destination({ dest: 2, sync: false, maxLength: 16 * 1024 * 1024 }),
  );
}
