import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import type { Predictions } from './predictions.ts';

/** Predictions on a database, for the server and for worker hosts of the same process. */
export interface PredictionStore extends Predictions {
  close(): Promise<void>;
}

export async function createPredictions(_database: Database, _log: Logger): Promise<PredictionStore> {
  throw new Error('under way');
}
