/** A prediction's life. States are Replicate's own words; see the diagram in ARCHITECTURE.md. */
export type PredictionStatus = 'starting' | 'processing' | 'succeeded' | 'failed' | 'canceled' | 'aborted';

export interface Prediction {
  id: string;
  account: string;
  /** `owner/name`. */
  model: string;
  version: string;
  /** As sent; stored files as references (`storage/file-ref.ts`). */
  input: Record<string, unknown>;
  /** JSON value of the model; stored files as references. */
  output: unknown;
  logs: string;
  error: string | null;
  status: PredictionStatus;
  source: 'api' | 'web';
  origin: string;
  createdAt: Date;
  startedAt: Date | null;
  completedAt: Date | null;
  /** `predict_time`, `total_time`: seconds. */
  metrics: Record<string, number>;
  dataRemoved: boolean;
  /** How often the prediction was started; also the fence that keeps a lost host from writing (`store.ts`). */
  attempt: number;
  cancelRequestedAt: Date | null;
}

export function isTerminal(status: PredictionStatus): boolean {
  return status !== 'starting' && status !== 'processing';
}
