import type { StoredFile } from '../storage/files.ts';
import type { Webhook, WebhookEvent } from '../webhooks/webhook.ts';
import type { Deployments } from './deployments.ts';
import type { Followers } from './followers.ts';
import type { IdempotencyKey } from './idempotency.ts';
import type { Prediction } from './prediction.ts';
import type { Previews } from './previews.ts';
import type { Progress } from './progress.ts';

/** What a caller asks for; already checked against the model's schema. */
export interface NewPrediction {
  /** Owner of the prediction: only the same account sees it. */
  account: string;
  /** `owner/name`. */
  model: string;
  version: string;
  /** As the caller sent it, unknown keys dropped, uploaded files replaced by file references (`storage/file-ref.ts`). */
  input: Record<string, unknown>;
  source: 'api' | 'web';
  /** `owner/name` of the deployment that it runs under. */
  deployment?: string;
  /** Origin that the caller used; URLs in later messages about this prediction are built from it. */
  origin: string;
  /** Stored files that belong to this prediction and leave with it. */
  inputFiles: readonly StoredFile[];
  /** Names of the inputs that hold file references; none unless it is given. */
  fileInputs?: readonly string[];
  webhook?: Webhook;
  webhookEventsFilter?: readonly WebhookEvent[];
  /** How long after its creation it is given up. */
  cancelAfterSeconds?: number;
  /** Whether its readers know the status `aborted`. */
  reportsAborted?: boolean;
}

export interface ListQuery {
  account: string;
  createdAfter?: Date;
  createdBefore?: Date;
  source?: 'web';
  /** Opaque, from an earlier page. */
  cursor?: string;
  limit: number;
}

export interface PredictionPage {
  predictions: Prediction[];
  next: string | undefined;
  previous: string | undefined;
}

/** Everything that the server may do with predictions. Foreign and unknown ids are the same: `undefined`. */
export interface Predictions {
  /** One transaction: the prediction's row and its job. */
  create(request: NewPrediction): Promise<Prediction>;
  /** As `create`, unless there is a prediction under the key. @throws KeyConflict */
  createOnce(request: NewPrediction, key: IdempotencyKey): Promise<{ prediction: Prediction; isNew: boolean }>;
  get(account: string, id: string): Promise<Prediction | undefined>;
  /** What was made under the key. @throws KeyConflict */
  underKey(account: string, key: IdempotencyKey): Promise<Prediction | undefined>;
  /** Newest first. @throws InputError when the cursor is not one of ours */
  list(query: ListQuery): Promise<PredictionPage>;
  /** A queued prediction ends at once; of a running one the engine is told. A finished one is returned as it is. */
  cancel(account: string, id: string): Promise<Prediction | undefined>;
  /** The prediction once it has ended, or as it stands after `timeoutMs`. */
  waitForEnd(id: string, timeoutMs: number): Promise<Prediction | undefined>;
  /** Lets callers that wait go, now and from now on: a server that ends must not be held up by them. */
  endWaits(): void;
  /** How a prediction stands, for whoever knows its stream key. */
  progress(id: string, streamKey: string): Promise<Progress | undefined>;
  /** As `Followers.follow` (followers.ts). */
  follow: Followers['follow'];
  /** As `Previews.watch` (previews.ts). */
  watch: Previews['watch'];
  /** A stored file by its key, whoever asks: the key is the capability. `undefined` once it was removed. */
  file(key: string): Promise<StoredFile | undefined>;
  /** How many predictions wait to be started; for health and metrics. */
  queued(): Promise<number>;
  /** How often each model ran, by `owner/name`; some seconds old. */
  runs(): Promise<ReadonlyMap<string, number>>;
  deployments: Deployments;
}
