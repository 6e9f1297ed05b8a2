import type { ColumnType, Generated, GeneratedAlways } from 'kysely';

/** The rows as the migrations make them; `schema.sql` is the dump of the result. */
export interface Tables {
  predictions: PredictionsTable;
  files: FilesTable;
  uploads: UploadsTable;
  installation: InstallationTable;
  hosts: HostsTable;
  accounts: AccountsTable;
  tokens: TokensTable;
  secrets: SecretsTable;
  deployments: DeploymentsTable;
  held_predictions: HeldPredictionsTable;
  deliveries: DeliveriesTable;
  delivery_attempts: DeliveryAttemptsTable;
  idempotency_keys: IdempotencyKeysTable;
}

/** JSON text on the way in (so that key order and numbers stay as written), the parsed value on the way out. */
type Json = ColumnType<unknown, string, string>;

export interface PredictionsTable {
  id: string;
  account: string;
  model: string;
  version: string;
  input: Json;
  output: Json;
  logs: Generated<string>;
  error: string | null;
  status: string;
  source: string;
  origin: string;
  created_at: Generated<Date>;
  started_at: Date | null;
  completed_at: Date | null;
  metrics: Json;
  data_removed: Generated<boolean>;
  attempt: Generated<number>;
  interruptions: Generated<number>;
  cancel_requested_at: Date | null;
  /** The worker host that runs it; null while it waits and once it has ended. */
  host_id: string | null;
  /** Unguessable; part of the address of its event stream. */
  stream_key: Generated<string>;
  file_inputs: Generated<readonly string[]>;
  webhook: string | null;
  webhook_private: Generated<boolean>;
  webhook_events_filter: readonly string[] | null;
  deployment: string | null;
  deadline: Date | null;
  reports_aborted: Generated<boolean>;
}

export interface FilesTable {
  key: string;
  prediction_id: string;
  purpose: string;
  name: string;
  content_type: string;
  /** bigint: text on PostgreSQL, a number on PGlite; read it with `Number`. */
  size: ColumnType<string | number, number, never>;
  sha256: string;
  created_at: Generated<Date>;
}

export interface UploadsTable {
  id: string;
  account: string;
  /** In the file store. */
  key: string;
  name: string;
  content_type: string;
  /** bigint, as in `FilesTable`. */
  size: ColumnType<string | number, number, never>;
  sha256: string;
  md5: string;
  metadata: Json;
  created_at: Generated<Date>;
  expires_at: Date;
}

export interface InstallationTable {
  id: string;
}

export interface HostsTable {
  id: string;
  started_at: Generated<Date>;
  seen_at: Generated<Date>;
}

export interface AccountsTable {
  id: string;
  type: Generated<string>;
  username: string;
  name: string;
  github_url: string | null;
  avatar_url: string | null;
  created_at: Generated<Date>;
}

export interface TokensTable {
  id: string;
  account: string;
  name: string;
  digest: string;
  created_at: Generated<Date>;
  last_used_at: Date | null;
  revoked_at: Date | null;
}

export interface SecretsTable {
  id: GeneratedAlways<string | number>;
  account: string;
  purpose: string;
  secret: string;
  created_at: Generated<Date>;
  /** Null: the current one. */
  replaced_at: Date | null;
}

export interface DeploymentsTable {
  /** `owner/name`. */
  id: string;
  account: string;
  name: string;
  release: Generated<number>;
  model: string;
  version: string;
  hardware: string;
  min_instances: number;
  max_instances: number;
  created_at: Generated<Date>;
  released_at: Generated<Date>;
}

export interface HeldPredictionsTable {
  prediction_id: string;
  deployment: string;
}

export interface DeliveriesTable {
  id: string;
  prediction_id: string;
  account: string;
  host: string;
  /** Null once retention has removed it. */
  body: string | null;
  created_at: Generated<Date>;
  attempts: Generated<number>;
  /** Null: delivered, or given up. */
  next_attempt_at: Generated<Date | null>;
  give_up_at: Date | null;
  delivered_at: Date | null;
}

export interface DeliveryAttemptsTable {
  id: GeneratedAlways<string | number>;
  delivery_id: string;
  started_at: Date;
  seconds: number;
  /** What the receiver answered; null when there was no answer. */
  status: number | null;
  error: string | null;
}

export interface IdempotencyKeysTable {
  account: string;
  key: string;
  request: string;
  prediction_id: string;
  created_at: Generated<Date>;
}
