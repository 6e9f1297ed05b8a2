import type { Queries } from '../database/database.ts';
import type { Prediction } from './prediction.ts';

/** What followers of a prediction are told about: its row without what never changes and without what they may not see. */
export interface Progress
  extends Pick<
    Prediction,
    'id' | 'attempt' | 'status' | 'logs' | 'error' | 'createdAt' | 'startedAt' | 'completedAt' | 'dataRemoved'
  > {
  /** References to the files of the current attempt that are finished. */
  outputs: readonly string[];
}

export function progressOf({ output, ...prediction }: Prediction): Progress {
  return { ...prediction, outputs: outputsOf(output) };
}

/** @param withLogs without them `logs` is empty: they can be long */
export async function readProgress(queries: Queries, ids: readonly string[], withLogs: boolean): Promise<Progress[]> {
  const rows = await queries
    .selectFrom('predictions')
    .select(['id', 'attempt', 'status', 'error', 'output'])
    .select(['created_at', 'started_at', 'completed_at', 'data_removed'])
    .$if(withLogs, (query) => query.select('logs'))
    .where('id', 'in', ids)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    attempt: row.attempt,
    status: row.status as Prediction['status'],
    outputs: outputsOf(row.output),
    logs: row.logs ?? '',
    error: row.error,
    createdAt: row.created_at,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    dataRemoved: row.data_removed,
  }));
}

function outputsOf(output: unknown): string[] {
  return [output ?? []].flat() as string[];
}
