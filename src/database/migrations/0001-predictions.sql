-- One row per prediction, the truth about its state. `json`, not `jsonb`: input and output go back out with the key
-- order and the numbers that came in. Times have milliseconds, as they have in JavaScript, so that a page cursor
-- made from (created_at, id) finds its row again.
create table predictions (
  id text primary key,
  account text not null,
  model text not null,
  version text not null,
  input json not null,
  output json not null default 'null',
  logs text not null default '',
  error text,
  status text not null default 'starting'
    check (status in ('starting', 'processing', 'succeeded', 'failed', 'canceled', 'aborted')),
  source text not null check (source in ('api', 'web')),
  origin text not null,
  created_at timestamptz(3) not null default clock_timestamp(),
  started_at timestamptz(3),
  completed_at timestamptz(3),
  metrics json not null default '{}',
  data_removed boolean not null default false,
  attempt integer not null default 0,
  interruptions integer not null default 0,
  cancel_requested_at timestamptz(3),
  host_id text,
  check ((completed_at is null) = (status in ('starting', 'processing'))),
  check ((host_id is not null) = (status = 'processing'))
);

create index predictions_newest on predictions (account, created_at desc, id desc);
-- What runs is few; what waits can be many and is counted.
create index predictions_running on predictions (host_id) where status = 'processing';
create index predictions_waiting on predictions (id) where status = 'starting';
-- Retention looks for the oldest that still has data.
create index predictions_removable on predictions (completed_at) where not data_removed;

-- Stored files, named by an unguessable key. The bytes are elsewhere and are written first: a row without bytes
-- cannot come about, bytes without a row can and are swept.
create table files (
  key text primary key,
  prediction_id text not null references predictions (id) on delete cascade,
  purpose text not null check (purpose in ('input', 'output')),
  name text not null,
  content_type text not null,
  size bigint not null,
  sha256 text not null,
  created_at timestamptz(3) not null default clock_timestamp()
);

create index files_of_prediction on files (prediction_id);

-- Worker hosts that live. A row whose host has gone is removed by whoever notices, and its predictions run again.
create table hosts (
  id text primary key,
  started_at timestamptz(3) not null default clock_timestamp(),
  seen_at timestamptz(3) not null default clock_timestamp()
);
