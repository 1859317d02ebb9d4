-- What was brought over from a database of the Python original (`migrator import`), and what is known to be wrong with its rows.
create or replace function provenance_name(provenance smallint) returns text
  language sql immutable parallel safe
  return (array['live', 'snapshot', 'backfill', 'repaired', 'replay', 'imported'])[provenance + 1];
comment on column ticks.provenance is '0 live, 1 snapshot, 2 backfill, 3 repaired, 4 replay, 5 imported';

-- The original did not note when a frame reached it.
alter table ticks alter column received_ms drop not null;
comment on column ticks.received_ms is 'when the frame left the socket, our clock: milliseconds after ts; null where nobody noted it';
alter table ticks_latest alter column received_at drop not null;

alter table lifecycle_events add column provenance smallint not null default 0;
comment on column lifecycle_events.provenance is '0 live, 5 imported';

-- A database of the original, known by the instant its schema was made: dump and restore keep it, a new address changes nothing.
create table import_sources (
  source_id integer generated always as identity primary key,
  born_at timestamptz not null unique,
  address text not null,
  first_seen_at timestamptz not null default clock_timestamp()
);
comment on column import_sources.address is 'where it was read last, without user and password';

create table import_runs (
  run_id bigint generated always as identity primary key,
  source_id integer not null references import_sources,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  reconciled boolean
);
create unique index import_runs_unfinished on import_runs (source_id) where finished_at is null;

-- How far a run has read a table. Moves only in the transaction that stores the rows.
create table import_progress (
  run_id bigint not null references import_runs on delete cascade,
  source_table text not null,
  position jsonb,
  rows_read bigint not null default 0,
  digest numeric not null default 0,
  imported bigint not null default 0,
  already bigint not null default 0,
  refused bigint not null default 0,
  source_rows bigint,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (run_id, source_table)
);
comment on column import_progress.position is 'the key of the last row that was read; null before the first';
comment on column import_progress.digest is 'sum of the keys that were read: whether the source still holds the same rows up to the position';
comment on column import_progress.source_rows is 'rows of the source; null until the table is done';

-- Rows of the source, by their ids, that are stored here: both ends belong to it.
create table import_ranges (
  source_id integer not null references import_sources,
  source_table text not null,
  from_id bigint not null,
  to_id bigint not null,
  primary key (source_id, source_table, from_id),
  check (from_id <= to_id)
);

-- Known faults of the source's rows: by kind, market and day, or one row where the row itself has to be looked at.
create table import_faults (
  fault_id bigint generated always as identity primary key,
  source_id integer not null references import_sources,
  source_table text not null,
  kind text not null,
  repaired boolean not null,
  ticker text,
  day date,
  row_key text,
  rows bigint not null default 1,
  first_ts timestamptz,
  last_ts timestamptz,
  detail jsonb,
  unique nulls not distinct (source_id, source_table, kind, repaired, ticker, day, row_key)
);
comment on column import_faults.repaired is 'the row that is stored here is right all the same; not repaired: it lacks a value, or holds one to doubt';
comment on column import_faults.ticker is 'of the market, or of the event';
comment on column import_faults.day is 'of the stamp, UTC';
comment on column import_faults.row_key is 'the key of the row in the source, where the fault is told row by row';
comment on column import_faults.first_ts is 'of these rows, as stored here';
comment on column import_faults.detail is 'what the source said where it is not what is stored here; the whole row where it was refused';
create index import_faults_ticker on import_faults (ticker, kind);

-- Epoch seconds as the exchange's lifecycle messages write them; null when they are none.
create function import_instant(seconds text) returns timestamptz
  language sql immutable parallel safe
  return case when seconds ~ '^[1-9]\d{8,9}(\.\d+)?$' then to_timestamp(seconds::float8) end;

-- The settlement value of a lifecycle message in dollars: newer messages have dollars with a point, older ones whole cents.
create function import_settlement(value text, result text) returns numeric
  language sql immutable parallel safe
  return case
    when value ~ '^\$?\d*\.\d+$' and ltrim(value, '$')::numeric <= 1 then ltrim(value, '$')::numeric
    when value = '0' then 0
    when value = '1' then case result when 'yes' then 1 end
    when value ~ '^\d{1,3}$' and value::integer between 2 and 100 then value::numeric / 100
  end;
