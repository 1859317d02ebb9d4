-- Who may read through the portal, and what several portals must know alike.

create table api_tokens (
  id bigint generated always as identity primary key,
  name text not null,
  hash bytea not null unique,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);
comment on column api_tokens.hash is 'SHA-256 of the token, which is random and kept nowhere';

-- Sessions are signed and kept by the browser. Those begun before `valid_from`, and those named here, are over.
create table portal_sessions (
  one boolean primary key default true check (one),
  valid_from timestamptz not null
);
insert into portal_sessions (valid_from) values ('-infinity');

create table portal_sessions_ended (
  nonce text primary key,
  expires_at timestamptz not null
);

create table portal_login_attempts (
  address text primary key,
  wrong integer not null,
  last_at timestamptz not null,
  free_at timestamptz not null
);
create index portal_login_attempts_last on portal_login_attempts (last_at);

-- Programs that run, by the sign of life they renew.
create table service_instances (
  instance text primary key,
  service text not null,
  host text not null,
  pid integer not null,
  started_at timestamptz not null,
  seen_at timestamptz not null,
  ok boolean not null,
  parts jsonb not null
);
comment on column service_instances.parts is 'what the parts of the program say of themselves: ok, detail, age of their newest data';
