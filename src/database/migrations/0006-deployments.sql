-- Named configurations that predictions run under. Of the releases the current one is kept: no other can be asked for.
create table deployments (
  -- owner/name, as in addresses.
  id text primary key,
  account text not null,
  name text not null,
  release integer not null default 1,
  model text not null,
  version text not null,
  hardware text not null,
  min_instances integer not null,
  -- How many of its predictions run at the same time.
  max_instances integer not null,
  created_at timestamptz(3) not null default clock_timestamp(),
  released_at timestamptz(3) not null default clock_timestamp(),
  check (0 <= min_instances and min_instances <= max_instances)
);

create index deployments_of_account on deployments (account, created_at desc);

-- The deployment's id, which is also what callers see. Without a foreign key: predictions outlive their deployment.
alter table predictions add column deployment text;
create index predictions_of_deployment on predictions (deployment)
  where deployment is not null and status in ('starting', 'processing');

-- Predictions whose ticket came up while as many of their deployment ran as may. Such a one has no ticket until
-- another of the deployment has ended.
create table held_predictions (
  prediction_id text primary key references predictions (id) on delete cascade,
  deployment text not null
);

create index held_predictions_of_deployment on held_predictions (deployment, prediction_id);
