-- When a prediction that has not ended is given up.
alter table predictions add column deadline timestamptz(3);
-- Whether whoever made it knows the status `aborted`; all others are told `canceled`.
alter table predictions add column reports_aborted boolean not null default false;
-- What a deadline still has to act on: of a canceled prediction the engine knows already.
create index predictions_due on predictions (deadline)
  where deadline is not null and cancel_requested_at is null and status in ('starting', 'processing');

-- Which prediction was made under an `Idempotency-Key`. Written in the transaction that makes it.
create table idempotency_keys (
  account text not null,
  key text not null,
  -- SHA-256 of the request, hex: the same key with another request is a mistake.
  request text not null,
  -- The key is taken first, so that of requests that come at once one makes the prediction.
  prediction_id text not null references predictions (id) on delete cascade deferrable initially deferred,
  created_at timestamptz(3) not null default clock_timestamp(),
  primary key (account, key)
);

create index idempotency_keys_oldest on idempotency_keys (created_at);
create index idempotency_keys_of_prediction on idempotency_keys (prediction_id);
