-- Makes sure that rows of [from_ts, to_ts) have a partition of their own; rows that already fell into the default
-- partition move into it. Safe when several processes call it at once. Returns true when it made one.
create function ensure_partition(parent text, partition_name text, from_ts timestamptz, to_ts timestamptz, key_column text)
returns boolean language plpgsql as $function$
begin
  if to_regclass(partition_name) is not null then
    return false;
  end if;
  perform pg_advisory_xact_lock(hashtext('ensure_partition:' || parent));
  -- The table itself, not to_regclass: that one may still remember, from before the wait, that there was none.
  if exists (
    select from pg_class child join pg_class p on p.relnamespace = child.relnamespace
    where p.oid = parent::regclass and child.relname = partition_name
  ) then
    return false;
  end if;
  execute format('create table %I (like %I including defaults including constraints)', partition_name, parent);
  execute format(
    'with moved as (delete from %I where %I >= %L and %I < %L returning *) insert into %I select * from moved',
    parent || '_default', key_column, from_ts, key_column, to_ts, partition_name
  );
  execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, partition_name, from_ts, to_ts);
  return true;
end
$function$;

create function ensure_tick_partition(day date) returns boolean language sql as $function$
  select ensure_partition(
    'ticks', 'ticks_' || to_char(day, 'YYYYMMDD'),
    day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC', 'ts'
  )
$function$;

create function ensure_candle_partition(month date) returns boolean language sql as $function$
  select ensure_partition(
    'market_candles', 'market_candles_' || to_char(month, 'YYYYMM'),
    date_trunc('month', month::timestamp) at time zone 'UTC',
    (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'UTC', 'end_period_ts'
  )
$function$;
