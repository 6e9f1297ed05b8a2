-- Whose prediction it tells of: attempts are shared out among accounts, and each one's among its hosts.
alter table deliveries add column account text;
update deliveries set account = (select account from predictions where predictions.id = prediction_id);
alter table deliveries alter column account set not null;

drop index deliveries_due;
create index deliveries_due on deliveries (account, host, next_attempt_at) where next_attempt_at is not null;
