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
    pino.destination({ dest: 2, sync: true }),
  );
}
