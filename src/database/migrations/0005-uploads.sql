-- Files that callers uploaded, until they expire. What a prediction takes of them it copies, so neither needs the other.
create table uploads (
  id text primary key,
  account text not null,
  -- Of the bytes, as in files.
  key text not null unique,
  -- As the caller called it; never a path.
  name text not null,
  -- Sniffed where the bytes are of a known kind, else what the caller said.
  content_type text not null,
  size bigint not null,
  sha256 text not null,
  md5 text not null,
  metadata json not null,
  created_at timestamptz(3) not null default clock_timestamp(),
  expires_at timestamptz(3) not null
);

create index uploads_newest on uploads (account, created_at desc, id desc);
create index uploads_expiring on uploads (expires_at);

-- One row: what this database calls itself. A file store that another database marked as its own is not swept, for
-- there every byte would look like one that nobody needs.
create table installation (
  id text primary key
);

insert into installation (id) values (gen_random_uuid()::text);
