import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import type { FileStore } from '../storage/files.ts';

export interface RetentionOptions {
  database: Database;
  files: FileStore;
  /** From `settings.retentionMs`; `undefined` keeps everything. */
  retentionMs: number | undefined;
  log: Logger;
}

/** Deletes inputs, outputs and logs of predictions that ended long enough ago. */
export function startRetention(_options: RetentionOptions): { close(): Promise<void> } {
  throw new Error('under way');
}
