-- What the migrations make, as the database tells it. Written by `UPDATE_SCHEMA=1 npx vitest run src/database`.

create table accounts (
  id text not null,
  type text not null default 'user'::text,
  username text not null,
  name text not null,
  github_url text,
  avatar_url text,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint accounts_pkey PRIMARY KEY (id),
  constraint accounts_type_check CHECK ((type = ANY (ARRAY['user'::text, 'organization'::text]))),
  constraint accounts_username_check CHECK ((username ~ '^[a-z0-9]([a-z0-9_-]{0,37}[a-z0-9])?$'::text)),
  constraint accounts_username_key UNIQUE (username)
);

create table deliveries (
  id text not null,
  prediction_id text not null,
  host text not null,
  body text,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  attempts integer not null default 0,
  next_attempt_at timestamp(3) with time zone default clock_timestamp(),
  give_up_at timestamp(3) with time zone,
  delivered_at timestamp(3) with time zone,
  account text not null,
  constraint deliveries_pkey PRIMARY KEY (id),
  constraint deliveries_prediction_id_fkey FOREIGN KEY (prediction_id) REFERENCES predictions(id) ON DELETE CASCADE
);
CREATE INDEX deliveries_due ON public.deliveries USING btree (account, host, next_attempt_at) WHERE (next_attempt_at IS NOT NULL);
CREATE INDEX deliveries_of_prediction ON public.deliveries USING btree (prediction_id);

create table delivery_attempts (
  id bigint not null,
  delivery_id text not null,
  started_at timestamp(3) with time zone not null,
  seconds double precision not null,
  status integer,
  error text,
  constraint delivery_attempts_delivery_id_fkey FOREIGN KEY (delivery_id) REFERENCES deliveries(id) ON DELETE CASCADE,
  constraint delivery_attempts_pkey PRIMARY KEY (id)
);
CREATE INDEX delivery_attempts_of_delivery ON public.delivery_attempts USING btree (delivery_id, id);

create table deployments (
  id text not null,
  account text not null,
  name text not null,
  release integer not null default 1,
  model text not null,
  version text not null,
  hardware text not null,
  min_instances integer not null,
  max_instances integer not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  released_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint deployments_check CHECK (((0 <= min_instances) AND (min_instances <= max_instances))),
  constraint deployments_pkey PRIMARY KEY (id)
);
CREATE INDEX deployments_of_account ON public.deployments USING btree (account, created_at DESC);

create table files (
  key text not null,
  prediction_id text not null,
  purpose text not null,
  name text not null,
  content_type text not null,
  size bigint not null,
  sha256 text not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint files_pkey PRIMARY KEY (key),
  constraint files_prediction_id_fkey FOREIGN KEY (prediction_id) REFERENCES predictions(id) ON DELETE CASCADE,
  constraint files_purpose_check CHECK ((purpose = ANY (ARRAY['input'::text, 'output'::text])))
);
CREATE INDEX files_of_prediction ON public.files USING btree (prediction_id);

create table held_predictions (
  prediction_id text not null,
  deployment text not null,
  constraint held_predictions_pkey PRIMARY KEY (prediction_id),
  constraint held_predictions_prediction_id_fkey FOREIGN KEY (prediction_id) REFERENCES predictions(id) ON DELETE CASCADE
);
CREATE INDEX held_predictions_of_deployment ON public.held_predictions USING btree (deployment, prediction_id);

create table hosts (
  id text not null,
  started_at timestamp(3) with time zone not null default clock_timestamp(),
  seen_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint hosts_pkey PRIMARY KEY (id)
);

create table idempotency_keys (
  account text not null,
  key text not null,
  request text not null,
  prediction_id text not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint idempotency_keys_pkey PRIMARY KEY (account, key),
  constraint idempotency_keys_prediction_id_fkey FOREIGN KEY (prediction_id) REFERENCES predictions(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX idempotency_keys_of_prediction ON public.idempotency_keys USING btree (prediction_id);
CREATE INDEX idempotency_keys_oldest ON public.idempotency_keys USING btree (created_at);

create table installation (
  id text not null,
  constraint installation_pkey PRIMARY KEY (id)
);

create table migrations (
  name text not null,
  applied_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint migrations_pkey PRIMARY KEY (name)
);

create table predictions (
  id text not null,
  account text not null,
  model text not null,
  version text not null,
  input json not null,
  output json not null default 'null'::json,
  logs text not null default ''::text,
  error text,
  status text not null default 'starting'::text,
  source text not null,
  origin text not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  started_at timestamp(3) with time zone,
  completed_at timestamp(3) with time zone,
  metrics json not null default '{}'::json,
  data_removed boolean not null default false,
  attempt integer not null default 0,
  interruptions integer not null default 0,
  cancel_requested_at timestamp(3) with time zone,
  host_id text,
  stream_key text not null default replace((gen_random_uuid())::text, '-'::text, ''::text),
  file_inputs text[] not null default '{}'::text[],
  webhook text,
  webhook_private boolean not null default false,
  webhook_events_filter text[],
  deployment text,
  deadline timestamp(3) with time zone,
  reports_aborted boolean not null default false,
  constraint predictions_check CHECK (((completed_at IS NULL) = (status = ANY (ARRAY['starting'::text, 'processing'::text])))),
  constraint predictions_check1 CHECK (((host_id IS NOT NULL) = (status = 'processing'::text))),
  constraint predictions_pkey PRIMARY KEY (id),
  constraint predictions_source_check CHECK ((source = ANY (ARRAY['api'::text, 'web'::text]))),
  constraint predictions_status_check CHECK ((status = ANY (ARRAY['starting'::text, 'processing'::text, 'succeeded'::text, 'failed'::text, 'canceled'::text, 'aborted'::text])))
);
CREATE INDEX predictions_due ON public.predictions USING btree (deadline) WHERE ((deadline IS NOT NULL) AND (cancel_requested_at IS NULL) AND (status = ANY (ARRAY['starting'::text, 'processing'::text])));
CREATE INDEX predictions_newest ON public.predictions USING btree (account, created_at DESC, id DESC);
CREATE INDEX predictions_of_deployment ON public.predictions USING btree (deployment) WHERE ((deployment IS NOT NULL) AND (status = ANY (ARRAY['starting'::text, 'processing'::text])));
CREATE INDEX predictions_removable ON public.predictions USING btree (completed_at) WHERE (NOT data_removed);
CREATE INDEX predictions_running ON public.predictions USING btree (host_id) WHERE (status = 'processing'::text);
CREATE INDEX predictions_waiting ON public.predictions USING btree (id) WHERE (status = 'starting'::text);

create table secrets (
  id bigint not null,
  account text not null,
  purpose text not null,
  secret text not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  replaced_at timestamp(3) with time zone,
  constraint secrets_pkey PRIMARY KEY (id),
  constraint secrets_purpose_check CHECK ((purpose = ANY (ARRAY['webhook'::text, 'files'::text])))
);
CREATE UNIQUE INDEX secrets_current ON public.secrets USING btree (account, purpose) WHERE (replaced_at IS NULL);
CREATE INDEX secrets_replaced ON public.secrets USING btree (account, purpose, replaced_at) WHERE (replaced_at IS NOT NULL);

create table tokens (
  id text not null,
  account text not null,
  name text not null,
  digest text not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  last_used_at timestamp(3) with time zone,
  revoked_at timestamp(3) with time zone,
  constraint tokens_account_fkey FOREIGN KEY (account) REFERENCES accounts(id) ON DELETE CASCADE,
  constraint tokens_digest_key UNIQUE (digest),
  constraint tokens_pkey PRIMARY KEY (id)
);

create table uploads (
  id text not null,
  account text not null,
  key text not null,
  name text not null,
  content_type text not null,
  size bigint not null,
  sha256 text not null,
  md5 text not null,
  metadata json not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  expires_at timestamp(3) with time zone not null,
  constraint uploads_key_key UNIQUE (key),
  constraint uploads_pkey PRIMARY KEY (id)
);
CREATE INDEX uploads_expiring ON public.uploads USING btree (expires_at);
CREATE INDEX uploads_newest ON public.uploads USING btree (account, created_at DESC, id DESC);
