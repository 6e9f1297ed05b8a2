-- Who owns predictions and files. Other tables keep the id alone, without a foreign key: a prediction outlives
-- whatever happens to its account.
create table accounts (
  id text primary key,
  type text not null default 'user' check (type in ('user', 'organization')),
  -- Part of addresses, such as those of deployments.
  username text not null unique check (username ~ '^[a-z0-9]([a-z0-9_-]{0,37}[a-z0-9])?$'),
  name text not null,
  github_url text,
  avatar_url text,
  created_at timestamptz(3) not null default clock_timestamp()
);

-- A token itself is never stored. Revoked ones stay: the list shows them, and a server that ever had a token does not
-- fall back to asking for none.
create table tokens (
  id text primary key,
  account text not null references accounts (id) on delete cascade,
  name text not null,
  -- SHA-256 of the token, hex.
  digest text not null unique,
  created_at timestamptz(3) not null default clock_timestamp(),
  last_used_at timestamptz(3),
  revoked_at timestamptz(3)
);

-- What an account signs with. Symmetric, so it has to be stored as it is.
create table secrets (
  id bigint generated always as identity primary key,
  account text not null,
  purpose text not null check (purpose in ('webhook', 'files')),
  secret text not null,
  created_at timestamptz(3) not null default clock_timestamp(),
  -- Null: the current one. A replaced one signs beside it for a while.
  replaced_at timestamptz(3)
);

create unique index secrets_current on secrets (account, purpose) where replaced_at is null;
create index secrets_replaced on secrets (account, purpose, replaced_at) where replaced_at is not null;
