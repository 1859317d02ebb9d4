-- Which archive directory belongs to this database: two databases never write into one.
create table archive_lake (
  one boolean primary key default true check (one),
  lake_id uuid not null default gen_random_uuid()
);
insert into archive_lake default values;

-- What of the big tables is in verified Parquet files. A partition that was dropped and made again, for rows that came late, gets a
-- dataset of its own: <partition>-2.
create table archive_datasets (
  name text primary key,
  parent text not null check (parent in ('ticks', 'trades', 'book_events', 'book_snapshots', 'market_candles')),
  partition text not null,
  from_ts timestamptz not null,
  to_ts timestamptz not null,
  dataset_id text not null,
  schema_version integer not null,
  code_version text not null,
  rows bigint not null,
  bytes bigint not null,
  files jsonb not null,
  fingerprint jsonb not null,
  snapshot_xmin bigint not null,
  activity bigint not null,
  archived_at timestamptz not null default clock_timestamp(),
  detached_at timestamptz
);
create unique index archive_datasets_attached on archive_datasets (partition) where detached_at is null;
comment on table archive_datasets is 'one row a dataset that was written, read back, and found equal to the partition';
comment on column archive_datasets.dataset_id is 'sha256 over the table, the span, the schema and the sha256 of every file';
comment on column archive_datasets.fingerprint is 'rows, a checksum of the rows, and count and sum of each column';
comment on column archive_datasets.snapshot_xmin is 'every row whose transaction is older was seen';
comment on column archive_datasets.activity is 'partition_activity before it was read: while it stays, nothing was written since';
comment on column archive_datasets.detached_at is 'since when the rows are in the files only';

-- What is left in the database of ticks that moved to the archive, where RETENTION_ROLLUP asks for it.
create table tick_minutes (
  market_id integer not null,
  minute timestamptz not null,
  ticks integer not null,
  open numeric,
  high numeric,
  low numeric,
  close numeric,
  yes_bid_dollars numeric,
  yes_ask_dollars numeric,
  volume numeric,
  open_interest numeric,
  primary key (market_id, minute)
);
comment on table tick_minutes is 'open to close are of price_dollars; the other columns are the last known ones of the minute';

create view market_tick_minutes as
select
  m.minute, k.ticker, m.ticks, m.open, m.high, m.low, m.close, m.yes_bid_dollars, m.yes_ask_dollars,
  implied_yes_mid(m.yes_bid_dollars, m.yes_ask_dollars) as implied_yes_mid, m.volume, m.open_interest
from tick_minutes m
join market_keys k using (market_id);

-- The bounds of an attached partition; no row for anything else, the default partition included.
create function partition_bounds(of_partition text) returns table (parent text, from_ts timestamptz, to_ts timestamptz)
language sql stable as $function$
  select p.relname::text, (regexp_match(b.bound, 'FROM \(''([^'']*)'''))[1]::timestamptz,
    (regexp_match(b.bound, 'TO \(''([^'']*)'''))[1]::timestamptz
  from pg_class c
  join pg_inherits i on i.inhrelid = c.oid
  join pg_class p on p.oid = i.inhparent and p.relkind = 'p'
  cross join lateral (select pg_get_expr(c.relpartbound, c.oid) as bound) b
  where c.relname = of_partition and c.relnamespace = current_schema()::regnamespace and b.bound like 'FOR VALUES FROM%'
$function$;

-- Rows that were ever written to a table, as the server's statistics say it: soon, and not after a crash.
create function partition_activity(of_partition text) returns bigint language sql stable as $function$
  select pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)
  from pg_class c where c.relname = of_partition and c.relnamespace = current_schema()::regnamespace
$function$;

-- What makes an attached partition differ from its dataset; null when it holds the rows that were archived, and no other.
create function archive_changes(dataset text) returns text language plpgsql as $function$
declare
  d archive_datasets;
  stored bigint;
  newer bigint;
begin
  select * into d from archive_datasets a where a.name = dataset;
  execute format(
    'select count(*), count(*) filter (where age(xmin) <= age(%L::xid)) from %I',
    (d.snapshot_xmin % 4294967296)::text, d.partition
  ) into stored, newer;
  return case when stored <> d.rows or newer > 0 then
    format('rows changed since it was archived: %s then, %s now, %s of them newer', d.rows, stored, newer) end;
end
$function$;

-- Adds ticks of a partition to the minutes. Minutes of ticks that came late join those that are there.
create function roll_up_ticks(of_partition text) returns void language plpgsql as $function$
begin
  execute format($sql$
    insert into tick_minutes as m (
      market_id, minute, ticks, open, high, low, close, yes_bid_dollars, yes_ask_dollars, volume, open_interest)
    select market_id, date_bin('1 minute', ts, timestamptz '2000-01-01 00:00:00Z'), count(*),
      (array_agg(price_dollars order by ts) filter (where price_dollars is not null))[1],
      max(price_dollars), min(price_dollars),
      (array_agg(price_dollars order by ts desc) filter (where price_dollars is not null))[1],
      (array_agg(yes_bid_dollars order by ts desc) filter (where yes_bid_dollars is not null))[1],
      (array_agg(yes_ask_dollars order by ts desc) filter (where yes_ask_dollars is not null))[1],
      max(volume),
      (array_agg(open_interest order by ts desc) filter (where open_interest is not null))[1]
    from %I group by 1, 2
    on conflict (market_id, minute) do update set
      ticks = m.ticks + excluded.ticks,
      open = coalesce(m.open, excluded.open),
      high = greatest(m.high, excluded.high),
      low = least(m.low, excluded.low),
      close = coalesce(m.close, excluded.close),
      yes_bid_dollars = coalesce(m.yes_bid_dollars, excluded.yes_bid_dollars),
      yes_ask_dollars = coalesce(m.yes_ask_dollars, excluded.yes_ask_dollars),
      volume = greatest(m.volume, excluded.volume),
      open_interest = coalesce(m.open_interest, excluded.open_interest)$sql$, of_partition);
end
$function$;

-- Lets go of a partition whose rows are in verified files: `dataset` is what `id` names, and the caller has just found its files whole.
-- Returns null, or why not. What is read of the partition is read before it is locked; others wait at most `lock_ms` for each of
-- our two locks, and for one count of the rows if they write to this partition.
create function detach_archived(dataset text, id text, roll_up boolean, lock_ms integer) returns text language plpgsql as $function$
declare
  d archive_datasets;
  changes text;
begin
  select * into d from archive_datasets a where a.name = dataset for update;
  if d.name is null then
    return 'it is not archived';
  elsif d.detached_at is not null then
    return 'it is detached already';
  elsif d.dataset_id <> id then
    return 'it was archived anew meanwhile';
  elsif not exists (
    select from partition_bounds(d.partition) b where b.parent = d.parent and b.from_ts = d.from_ts and b.to_ts = d.to_ts
  ) then
    return 'the partition is not the one that was archived';
  end if;

  perform set_config('lock_timeout', lock_ms || 'ms', true);
  begin
    if d.parent = 'ticks' then
      if roll_up then
        perform roll_up_ticks(d.partition);
      end if;
      execute format($sql$
        insert into coverage_heard (market_id, heard_at)
        select market_id, min(received_at(ts, received_ms)) from %I
        where provenance in (0, 1) and market_id not in (select h.market_id from coverage_heard h)
        group by market_id
        on conflict (market_id) do nothing$sql$, d.partition);
    end if;
    execute format('lock table %I in share row exclusive mode', d.partition);
    changes := archive_changes(dataset);
    if changes is not null then
      raise exception using errcode = 'KA001', message = changes;
    end if;
    execute format('alter table %I detach partition %I', d.parent, d.partition);
    execute format('drop table %I', d.partition);
  exception
    when lock_not_available then
      return 'it is in use';
    when sqlstate 'KA001' then
      return sqlerrm;
  end;
  update archive_datasets a set detached_at = clock_timestamp() where a.name = dataset;
  return null;
end
$function$;
