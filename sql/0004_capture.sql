-- How far each journal is stored. Moves only in the transaction that stores the rows.
create table journal_positions (
  journal text primary key,
  shard text not null,
  segment bigint not null,
  "offset" bigint not null,
  frames bigint not null default 0,
  last_received_at timestamptz,
  updated_at timestamptz not null default clock_timestamp()
);

comment on column journal_positions.last_received_at is 'the last sign of life of the feed that is stored: a frame or a ping of the server';
create index journal_positions_shard on journal_positions (shard, last_received_at);

create table lifecycle_events (
  id bigint generated always as identity primary key,
  received_at timestamptz not null,
  ts timestamptz,
  market_ticker text,
  event_ticker text,
  event_type text not null,
  result text,
  settlement_value_dollars numeric,
  sid integer,
  seq bigint,
  raw jsonb not null
);
comment on column lifecycle_events.ts is 'the instant the message itself names (determination, settlement); most name none';
create index lifecycle_events_market on lifecycle_events (market_ticker, received_at);
create index lifecycle_events_received on lifecycle_events (received_at);

create table capture_gaps (
  id bigint generated always as identity primary key,
  feed text not null,
  shard text not null,
  market_ticker text,
  from_ts timestamptz not null,
  to_ts timestamptz,
  cause text not null,
  detail text,
  frames_missing bigint,
  repaired_by text,
  repaired_at timestamptz,
  recorded_at timestamptz not null default clock_timestamp()
);
comment on table capture_gaps is 'spans in which the feed was not received; market_ticker null means all markets, to_ts null means still open';
create index capture_gaps_span on capture_gaps (from_ts, to_ts);

create table quarantine (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  received_at timestamptz,
  feed text not null,
  journal text,
  segment bigint,
  "offset" bigint,
  cause text not null,
  raw bytea not null
);
create index quarantine_at on quarantine (at);
