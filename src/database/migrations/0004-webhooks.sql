-- Which inputs hold references to stored files: with it a row says everything that callers see of it, and the body of
-- a webhook can be made by any process, whichever models it has.
alter table predictions add column file_inputs text[] not null default '{}';
update predictions set file_inputs = array(
  select key from json_each(input) where json_typeof(value) = 'string' and value #>> '{}' like 'darkroom-file:%'
);

alter table predictions add column webhook text;
-- Whether it may lead to private addresses and by plain http: decided by who was allowed what at the create.
alter table predictions add column webhook_private boolean not null default false;
alter table predictions add column webhook_events_filter text[];

-- Webhooks that have to arrive: the outbox. A row is written in the transaction that ends its prediction, so neither
-- exists without the other.
create table deliveries (
  -- The header webhook-id, the same at every attempt.
  id text primary key,
  prediction_id text not null references predictions (id) on delete cascade,
  -- Of the webhook's URL, with its port: attempts are shared out among hosts.
  host text not null,
  -- The very bytes, also of the next attempt; null once the prediction's data was removed.
  body text,
  created_at timestamptz(3) not null default clock_timestamp(),
  -- Grows whenever it is sent or is to be repeated: whoever sent it writes the result only if it has not grown since.
  attempts integer not null default 0,
  -- Null: delivered or given up. While it is being sent, when another may take it because the sender must have died.
  next_attempt_at timestamptz(3) default clock_timestamp(),
  -- Counted from the first attempt, so that a server that was away still makes its attempts.
  give_up_at timestamptz(3),
  delivered_at timestamptz(3)
);

-- By host first: the next of each host is found without reading all that wait for one that does not answer.
create index deliveries_due on deliveries (host, next_attempt_at) where next_attempt_at is not null;
create index deliveries_of_prediction on deliveries (prediction_id);

create table delivery_attempts (
  id bigint generated always as identity primary key,
  delivery_id text not null references deliveries (id) on delete cascade,
  started_at timestamptz(3) not null,
  seconds double precision not null,
  -- What the receiver answered; null when there was no answer.
  status integer,
  -- Why it does not count as delivered; null when it does.
  error text
);

create index delivery_attempts_of_delivery on delivery_attempts (delivery_id, id);
