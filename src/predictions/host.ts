import type { Logger } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type { ModelDefinition } from '../catalog/model.ts';
import type { Database } from '../database/database.ts';
import type { FileStore } from '../storage/files.ts';
import type { PredictionStore } from './store.ts';

export interface HostOptions {
  database: Database;
  predictions: PredictionStore;
  files: FileStore;
  models: readonly ModelDefinition[];
  settings: Settings;
  log: Logger;
}

/** Claims predictions and has engine processes run them, `settings.concurrency` at a time. */
export interface Host {
  /** Lets what runs finish within `graceMs` (default 10 s); what does not is queued again, free of charge. */
  close(graceMs?: number): Promise<void>;
}

export async function startHost(_options: HostOptions): Promise<Host> {
  throw new Error('under way');
}
