import type { Selectable, Updateable } from 'kysely';
import type { FilesTable, PredictionsTable } from '../database/tables.ts';
import type { StoredFile } from '../storage/files.ts';
import type { Prediction } from './prediction.ts';

export function predictionOf(row: Selectable<PredictionsTable>): Prediction {
  return {
    id: row.id,
    account: row.account,
    model: row.model,
    version: row.version,
    input: row.input as Prediction['input'],
    fileInputs: row.file_inputs,
    output: row.output,
    logs: row.logs,
    error: row.error,
    status: row.status as Prediction['status'],
    source: row.source as Prediction['source'],
    deployment: row.deployment,
    origin: row.origin,
    createdAt: row.created_at,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    metrics: row.metrics as Prediction['metrics'],
    dataRemoved: row.data_removed,
    attempt: row.attempt,
    interruptions: row.interruptions,
    cancelRequestedAt: row.cancel_requested_at,
    streamKey: row.stream_key,
    webhook: row.webhook === null ? null : { url: row.webhook, allowPrivate: row.webhook_private },
    webhookEventsFilter: row.webhook_events_filter as Prediction['webhookEventsFilter'],
    deadline: row.deadline,
    reportsAborted: row.reports_aborted,
  };
}

/** The columns in which `after` differs. */
export function changesBetween(before: Prediction, after: Prediction): Updateable<PredictionsTable> {
  const changes: Updateable<PredictionsTable> = {};
  if (after.status !== before.status) changes.status = after.status;
  if (after.input !== before.input) changes.input = JSON.stringify(after.input);
  if (after.output !== before.output) changes.output = JSON.stringify(after.output);
  if (after.logs !== before.logs) changes.logs = after.logs;
  if (after.error !== before.error) changes.error = after.error;
  if (after.startedAt !== before.startedAt) changes.started_at = after.startedAt;
  if (after.completedAt !== before.completedAt) changes.completed_at = after.completedAt;
  if (after.metrics !== before.metrics) changes.metrics = JSON.stringify(after.metrics);
  if (after.dataRemoved !== before.dataRemoved) changes.data_removed = after.dataRemoved;
  if (after.attempt !== before.attempt) changes.attempt = after.attempt;
  if (after.interruptions !== before.interruptions) changes.interruptions = after.interruptions;
  if (after.cancelRequestedAt !== before.cancelRequestedAt) changes.cancel_requested_at = after.cancelRequestedAt;
  return changes;
}

export function storedFileOf(row: Selectable<FilesTable>): StoredFile {
  const { key, name, content_type: contentType, sha256 } = row;
  return { key, name, contentType, size: Number(row.size), sha256 };
}

export function fileRow(file: StoredFile, predictionId: string, purpose: 'input' | 'output') {
  const { key, name, size, sha256 } = file;
  return { key, prediction_id: predictionId, purpose, name, content_type: file.contentType, size, sha256 };
}
