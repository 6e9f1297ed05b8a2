/** A prediction as callers see it: what GET answers is what a webhook carries. */
import { parseFileRef } from '../storage/file-ref.ts';
import { fileUrl } from '../storage/file-url.ts';
import type { WebhookEvent } from '../webhooks/webhook.ts';
import { isTerminal, type Prediction, type PredictionStatus } from './prediction.ts';

export interface PredictionJson {
  id: string;
  model: string;
  version: string;
  input: Record<string, unknown>;
  logs: string;
  output: unknown;
  data_removed: boolean;
  error: string | null;
  source: 'api' | 'web';
  /** `owner/name`; only of predictions that run under one. */
  deployment?: string;
  /** `aborted` only for who asked to be told so. */
  status: PredictionStatus;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
  /** Only of predictions that were given one. */
  deadline?: string;
  metrics: Record<string, number>;
  /** Never null inside: the Python client reads it as a map of strings. */
  urls: Record<string, string>;
  /** Both only as they were sent. */
  webhook?: string;
  webhook_events_filter?: readonly WebhookEvent[];
}

/** @param origin where the reader reaches the server, without path */
export function predictionJson(prediction: Prediction, origin: string): PredictionJson {
  const input = Object.entries(prediction.input).map(([name, value]) => [
    name,
    prediction.fileInputs.includes(name) ? withFileUrls(value, origin) : value,
  ]);
  const self = `${origin}/v1/predictions/${prediction.id}`;
  return {
    id: prediction.id,
    model: prediction.model,
    version: prediction.version,
    input: Object.fromEntries(input),
    logs: prediction.logs,
    // Whole or not at all: to some clients any output means that the prediction is done.
    output: isTerminal(prediction.status) ? withFileUrls(prediction.output ?? null, origin) : null,
    data_removed: prediction.dataRemoved,
    error: prediction.error,
    source: prediction.source,
    ...(prediction.deployment !== null && { deployment: prediction.deployment }),
    // Most clients do not know `aborted` and would poll for ever.
    status: prediction.status === 'aborted' && !prediction.reportsAborted ? 'canceled' : prediction.status,
    created_at: prediction.createdAt.toISOString(),
    started_at: prediction.startedAt?.toISOString() ?? null,
    completed_at: prediction.completedAt?.toISOString() ?? null,
    ...(prediction.deadline && { deadline: prediction.deadline.toISOString() }),
    metrics: prediction.metrics,
    urls: { cancel: `${self}/cancel`, get: self, stream: streamUrl(prediction, origin) },
    ...(prediction.webhook && { webhook: prediction.webhook.url }),
    ...(prediction.webhookEventsFilter && { webhook_events_filter: prediction.webhookEventsFilter }),
  };
}

/** Under `/v1/files/`: there the JavaScript client makes files of what the events of a stream hold. */
function streamUrl({ id, streamKey }: Prediction, origin: string): string {
  return `${origin}/v1/files/stream-${id}-${streamKey}`;
}

/** References to stored files become URLs, at any depth. */
function withFileUrls(value: unknown, origin: string): unknown {
  if (Array.isArray(value)) return value.map((item) => withFileUrls(item, origin));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withFileUrls(item, origin)]));
  }
  const ref = parseFileRef(value);
  return ref ? fileUrl(ref, origin) : value;
}
