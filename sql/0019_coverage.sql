-- What is recorded of each market in each hour. States are defined in docs/coverage.md.

-- Since when the feed of a slot is recorded at all: what came before is missing without a gap in the ledger.
create table capture_starts (
  shard text not null,
  slot smallint not null,
  since timestamptz not null,
  primary key (shard, slot)
);
insert into capture_starts (shard, slot, since)
select shard, slot, min(since)
from (
  select shard, slot, since from slot_feeds
  union all
  select g.shard, slot, g.from_ts from capture_gaps g, unnest(g.slots) as slot where g.feed = 'all'
) known
group by shard, slot;

create function note_capture_start() returns trigger language plpgsql as $function$
begin
  insert into capture_starts (shard, slot, since) values (new.shard, new.slot, new.since) on conflict do nothing;
  return null;
end
$function$;
create trigger slot_feeds_start after insert on slot_feeds for each row execute function note_capture_start();

-- When the feed first spoke of a market. Kept, since ticks may move to an archive.
create table coverage_heard (
  market_id integer primary key,
  heard_at timestamptz not null
);

create table market_coverage (
  market_id integer not null,
  hour timestamptz not null,
  state text not null check (state in ('live', 'degraded', 'repaired', 'candles_only', 'absent', 'checked_empty')),
  open_ms integer not null,
  live_ms integer not null,
  healed_ms integer not null,
  candles integer not null,
  computed_at timestamptz not null default clock_timestamp(),
  primary key (market_id, hour)
) with (fillfactor = 80);
create index market_coverage_day on market_coverage (((hour at time zone 'UTC')::date));
create index market_coverage_hour on market_coverage (hour);
create index market_coverage_degraded on market_coverage (hour) where state = 'degraded';

-- What must be computed anew. Rows are only added and removed, never changed, so that no writer waits for another. No market: all of
-- the slots; no slots: all.
create table coverage_stale (
  id bigint generated always as identity primary key,
  market_ticker text,
  shard text,
  slots smallint[],
  from_ts timestamptz not null,
  to_ts timestamptz not null
);
-- Hours before `until` are computed; later ones are not due.
create table coverage_progress (
  one boolean primary key default true check (one),
  until timestamptz not null
);
-- How far the feed of each slot was stored when it was last looked at.
create table coverage_frontiers (
  shard text not null,
  slot smallint not null,
  reached timestamptz not null,
  primary key (shard, slot)
);

create function hour_of(at timestamptz) returns timestamptz language sql immutable parallel safe
  return date_bin('1 hour', at, timestamptz '2000-01-01 00:00:00Z');

create function coverage_span(from_ts timestamptz, to_ts timestamptz) returns tstzrange language sql immutable parallel safe
  return case when from_ts < to_ts then tstzrange(from_ts, to_ts) else tstzrange 'empty' end;

create function span_ms(spans tstzmultirange) returns integer language sql immutable parallel safe
  return (select coalesce(round(sum(extract(epoch from upper(span) - lower(span))) * 1000), 0)::integer from unnest(spans) as span);

-- The state of one hour of one market. `opened`: the part of the hour in which the market was open; `live`: spans in which its ticker
-- feed was recorded; `minutes`, `hours`: spans for which the exchange was asked for candles of that length, the answer stored
-- completely; `candles`: those stored of the open part.
create function coverage_state(
  opened tstzrange, live tstzmultirange, minutes tstzmultirange, hours tstzmultirange, candles integer, is_over boolean
) returns text language sql immutable parallel safe
  return case
    when not is_over or isempty(opened) then 'not_yet_due'
    when live @> opened then 'live'
    when live && opened then case when live + minutes @> opened then 'repaired' else 'degraded' end
    when candles > 0 and (minutes + hours @> opened or not minutes + hours && opened) then 'candles_only'
    when candles > 0 then 'degraded'
    when minutes + hours @> opened then 'checked_empty'
    else 'absent'
  end;

-- The coverage of markets, each in a range of hours of its own, as of `now_ts` (the exchange's clock). A market that the exchange does
-- not know any more, or has no candles of, counts as asked for throughout. A market that the feed spoke of
-- within `grace` of its opening was recorded from its opening on. No row for an hour in which a market was not open.
create function coverage_hours(
  tickers text[], from_hours timestamptz[], to_hours timestamptz[], now_ts timestamptz, grace interval
) returns table (
  market_id integer, ticker text, hour timestamptz, state text, open_ms integer, live_ms integer, healed_ms integer,
  candles integer, heard_at timestamptz
) language sql stable as $function$
  with wanted as materialized (
    select m.ticker, m.event_ticker, m.open_time, m.close_time, k.market_id, w.from_hour, w.to_hour,
      m.completion in ('vanished', 'without_candles') as is_unknown,
      coalesce(
        h.heard_at,
        (select min(received_at(first.ts, first.received_ms)) from (
          select t.ts, t.received_ms from ticks t
          where t.market_id = k.market_id and t.provenance in (0, 1)
            and t.ts >= m.open_time - interval '1 day' and t.ts < m.close_time + interval '1 hour'
          order by t.ts limit 10
        ) first)
      ) as heard_at
    from unnest(tickers, from_hours, to_hours) as w (ticker, from_hour, to_hour)
    join markets m on m.ticker = w.ticker and m.open_time < m.close_time and m.open_time < w.to_hour and m.close_time > w.from_hour
    left join market_keys k on k.ticker = m.ticker
    left join coverage_heard h on h.market_id = k.market_id
  ), gaps as materialized (
    select g.shard, g.slots, g.market_ticker, coverage_span(g.from_ts, coalesce(g.to_ts, 'infinity')) as span
    from capture_gaps g, (select min(from_hour) as least, max(to_hour) as most from wanted) bounds
    where g.feed in ('all', 'ticker') and g.from_ts < bounds.most and (g.to_ts is null or g.to_ts > bounds.least)
  ), divisions as materialized (
    select w.ticker, s.shard, s.slot, coverage_span(s.since, p.last_received_at) as recorded
    from wanted w
    cross join (select distinct shard from capture_starts) d
    join capture_starts s on s.shard = d.shard and s.slot = market_slot(
      case split_part(d.shard, '/', 1) when 'event' then coalesce(w.event_ticker, w.ticker) else w.ticker end,
      split_part(d.shard, '/', 2)::integer)
    join slot_feeds f on f.shard = s.shard and f.slot = s.slot
    join journal_positions p on p.journal = f.journal
  ), recorded as materialized (
    select d.ticker,
      range_agg(
        tstzmultirange(d.recorded) - coalesce(
          (select range_agg(g.span) from gaps g
           where g.shard = d.shard
             and case when g.market_ticker is not null then g.market_ticker = d.ticker else g.slots is null or d.slot = any (g.slots) end),
          '{}')
      ) as spans
    from divisions d
    group by d.ticker
  ), hours as materialized (
    select w.market_id, w.ticker, h.hour, w.heard_at,
      coverage_span(greatest(h.hour, w.open_time), least(h.hour + interval '1 hour', w.close_time)) as opened,
      case
        when w.heard_at is null then '{}'
        when w.heard_at <= w.open_time + grace then coalesce(r.spans, '{}')
        else coalesce(r.spans, '{}') * tstzmultirange(tstzrange(w.heard_at, null))
      end as live,
      case when w.is_unknown then '{(,)}' else coalesce(minutes.checked, '{}') end as minutes,
      coalesce(hourly.checked, '{}') as hourly,
      h.hour + interval '1 hour' <= now_ts as is_over
    from wanted w
    left join recorded r on r.ticker = w.ticker
    left join candle_ranges minutes on minutes.market_ticker = w.ticker and minutes.period_interval_minutes = 1
    left join candle_ranges hourly on hourly.market_ticker = w.ticker and hourly.period_interval_minutes = 60
    cross join lateral generate_series(
      hour_of(greatest(w.from_hour, w.open_time)),
      least(w.to_hour, w.close_time) - interval '1 microsecond', interval '1 hour') as h (hour)
  ), counted as materialized (
    select h.*, tstzmultirange(h.opened) * h.live as had,
      (select count(*)::integer from market_candles c
       where c.market_ticker = h.ticker and c.period_interval_minutes in (1, 60)
         and c.end_period_ts > lower(h.opened) and c.end_period_ts <= h.hour + interval '1 hour') as candles
    from hours h
  )
  select
    c.market_id, c.ticker, c.hour, coverage_state(c.opened, c.live, c.minutes, c.hourly, c.candles, c.is_over),
    span_ms(tstzmultirange(c.opened)), span_ms(c.had),
    span_ms((tstzmultirange(c.opened) - c.had) * c.minutes), c.candles, c.heard_at
  from counted c
$function$;

-- What happened since the last time becomes work by market: hours that ended by `due_until`, feeds that were stored further, gaps of
-- many markets. Returns how many pieces of work there are.
create function coverage_plan(due_until timestamptz) returns bigint language plpgsql as $function$
declare
  due timestamptz := hour_of(due_until);
  before timestamptz;
begin
  perform pg_advisory_xact_lock(hashtext('coverage'));
  select p.until into before from coverage_progress p;
  if before is null then
    insert into coverage_progress (until) values (due);
    delete from coverage_stale;
    insert into coverage_stale (from_ts, to_ts) values ('-infinity', due);
  elsif before < due then
    update coverage_progress set until = due;
    insert into coverage_stale (from_ts, to_ts) values (before, due);
  else
    due := before;
  end if;

  with now_reached as (
    select f.shard, f.slot, p.last_received_at as reached
    from slot_feeds f join journal_positions p using (journal)
    where p.last_received_at is not null
  ), moved as (
    insert into coverage_stale (shard, slots, from_ts, to_ts)
    select n.shard, array_agg(n.slot), hour_of(o.reached), hour_of(n.reached) + interval '1 hour'
    from now_reached n join coverage_frontiers o using (shard, slot)
    where n.reached > o.reached and hour_of(o.reached) < due
    group by n.shard, hour_of(o.reached), hour_of(n.reached)
  )
  insert into coverage_frontiers as f (shard, slot, reached)
  select shard, slot, reached from now_reached
  on conflict (shard, slot) do update set reached = excluded.reached where f.reached <> excluded.reached;

  with broad as (
    delete from coverage_stale s where s.market_ticker is null returning s.shard, s.slots, s.from_ts, s.to_ts
  )
  insert into coverage_stale (market_ticker, from_ts, to_ts)
  select m.ticker, greatest(min(b.from_ts), m.open_time), least(max(b.to_ts), m.close_time, due)
  from broad b
  join markets m on m.close_time > b.from_ts and m.open_time < least(b.to_ts, due) and m.open_time < m.close_time
  where b.slots is null or market_slot(
    case split_part(b.shard, '/', 1) when 'event' then coalesce(m.event_ticker, m.ticker) else m.ticker end,
    split_part(b.shard, '/', 2)::integer) = any (b.slots)
  group by m.ticker
  order by 2, 1;

  return (select count(*) from coverage_stale);
end
$function$;

-- Computes anew what up to `most` pieces of work are about. Returns how many were done; doing one twice changes nothing.
create function coverage_compute(now_ts timestamptz, grace interval, most integer) returns integer language plpgsql as $function$
declare
  due timestamptz;
  ids bigint[];
  tickers text[];
  from_hours timestamptz[];
  to_hours timestamptz[];
begin
  perform pg_advisory_xact_lock(hashtext('coverage'));
  select p.until into due from coverage_progress p;
  select array_agg(s.id) into ids
  from (select id from coverage_stale where market_ticker is not null order by id limit most) s;
  if ids is null or due is null then
    return 0;
  end if;

  select array_agg(w.ticker order by w.ticker), array_agg(w.from_hour order by w.ticker), array_agg(w.to_hour order by w.ticker)
  into tickers, from_hours, to_hours
  from (
    select s.market_ticker as ticker, hour_of(greatest(min(s.from_ts), timestamptz '2000-01-01 00:00:00Z')) as from_hour,
      least(max(s.to_ts), due) as to_hour
    from coverage_stale s where s.id = any (ids) group by s.market_ticker
  ) w
  where w.from_hour < w.to_hour;

  if tickers is not null then
    insert into market_keys (ticker)
    select m.ticker from markets m
    where m.ticker = any (tickers) and not exists (select from market_keys k where k.ticker = m.ticker)
    order by m.ticker
    on conflict (ticker) do nothing;

    with fresh as materialized (
      select * from coverage_hours(tickers, from_hours, to_hours, now_ts, grace) f where f.state <> 'not_yet_due'
    ), heard as (
      insert into coverage_heard (market_id, heard_at)
      select distinct f.market_id, f.heard_at from fresh f where f.heard_at is not null
      on conflict (market_id) do nothing
    ), gone as (
      delete from market_coverage c
      using unnest(tickers, from_hours, to_hours) as w (ticker, from_hour, to_hour), market_keys k
      where k.ticker = w.ticker and c.market_id = k.market_id and c.hour >= w.from_hour and c.hour < w.to_hour
        and not exists (select from fresh f where f.market_id = c.market_id and f.hour = c.hour)
    )
    insert into market_coverage as c (market_id, hour, state, open_ms, live_ms, healed_ms, candles)
    select f.market_id, f.hour, f.state, f.open_ms, f.live_ms, f.healed_ms, f.candles from fresh f
    on conflict (market_id, hour) do update set
      state = excluded.state, open_ms = excluded.open_ms, live_ms = excluded.live_ms, healed_ms = excluded.healed_ms,
      candles = excluded.candles, computed_at = excluded.computed_at
    where (c.state, c.open_ms, c.live_ms, c.healed_ms, c.candles)
      is distinct from (excluded.state, excluded.open_ms, excluded.live_ms, excluded.healed_ms, excluded.candles);
  end if;

  delete from coverage_stale s where s.id = any (ids);
  return cardinality(ids);
end
$function$;

create function gap_makes_coverage_stale() returns trigger language plpgsql as $function$
begin
  if tg_op <> 'INSERT' and old.feed in ('all', 'ticker') then
    insert into coverage_stale (market_ticker, shard, slots, from_ts, to_ts)
    values (old.market_ticker, old.shard, old.slots, old.from_ts, coalesce(old.to_ts, 'infinity'));
  end if;
  if tg_op <> 'DELETE' and new.feed in ('all', 'ticker') then
    insert into coverage_stale (market_ticker, shard, slots, from_ts, to_ts)
    values (new.market_ticker, new.shard, new.slots, new.from_ts, coalesce(new.to_ts, 'infinity'));
  end if;
  return null;
end
$function$;
create trigger capture_gaps_coverage after insert or delete or update of from_ts, to_ts, slots, market_ticker on capture_gaps
  for each row execute function gap_makes_coverage_stale();

create function market_makes_coverage_stale() returns trigger language plpgsql as $function$
begin
  insert into coverage_stale (market_ticker, from_ts, to_ts)
  select new.ticker, least(new.open_time, old.open_time), greatest(new.close_time, old.close_time);
  return null;
end
$function$;
create trigger markets_coverage_new after insert on markets for each row
  when (new.open_time < new.close_time) execute function market_makes_coverage_stale();
create trigger markets_coverage_moved after update of open_time, close_time, event_ticker, completion on markets for each row
  when ((old.open_time, old.close_time, old.event_ticker, coalesce(old.completion in ('vanished', 'without_candles'), false))
      is distinct from
      (new.open_time, new.close_time, new.event_ticker, coalesce(new.completion in ('vanished', 'without_candles'), false))
    and coalesce(new.open_time, old.open_time) is not null and coalesce(new.close_time, old.close_time) is not null)
  execute function market_makes_coverage_stale();

create function candles_make_coverage_stale() returns trigger language plpgsql as $function$
begin
  insert into coverage_stale (market_ticker, from_ts, to_ts)
  select f.market_ticker, min(f.start_period_ts), max(f.end_period_ts)
  from fresh f where f.period_interval_minutes in (1, 60)
  group by f.market_ticker;
  return null;
end
$function$;
create trigger market_candles_coverage after insert on market_candles
  referencing new table as fresh for each statement execute function candles_make_coverage_stale();
create trigger market_candles_coverage_gone after delete on market_candles
  referencing old table as fresh for each statement execute function candles_make_coverage_stale();

create function ranges_make_coverage_stale() returns trigger language plpgsql as $function$
declare
  before tstzmultirange := coalesce(old.checked, '{}');
  changed tstzmultirange := (new.checked - before) + (before - new.checked);
begin
  if not isempty(changed) then
    insert into coverage_stale (market_ticker, from_ts, to_ts)
    values (new.market_ticker, coalesce(lower(changed), '-infinity'), coalesce(upper(changed), 'infinity'));
  end if;
  return null;
end
$function$;
create trigger candle_ranges_coverage after insert or update of checked on candle_ranges
  for each row execute function ranges_make_coverage_stale();

-- One row for each market and hour in which it was open, and the hours ahead, a day of them.
create view coverage as
select
  k.ticker as market_ticker, m.event_ticker, e.series_ticker, c.hour, c.state,
  c.open_ms / 1000.0 as open_seconds, c.live_ms / 1000.0 as live_seconds, c.healed_ms / 1000.0 as repaired_seconds,
  (c.open_ms - c.live_ms) / 1000.0 as missing_live_seconds, c.candles, c.computed_at
from market_coverage c
join market_keys k using (market_id)
left join markets m on m.ticker = k.ticker
left join events e using (event_ticker)
union all
select
  m.ticker, m.event_ticker, e.series_ticker, h.hour, 'not_yet_due',
  extract(epoch from least(h.hour + interval '1 hour', m.close_time) - greatest(h.hour, m.open_time)), null, null, null, null, null
from coverage_progress p
join markets m on m.close_time > p.until and m.open_time < p.until + interval '1 day' and m.open_time < m.close_time
left join events e using (event_ticker)
cross join lateral generate_series(
  hour_of(greatest(m.open_time, p.until)), least(m.close_time, p.until + interval '1 day') - interval '1 microsecond',
  interval '1 hour') as h (hour);

-- By UTC day and series: hours of markets in each state. `share_covered` leaves out what is not due; null when nothing is.
create view coverage_by_day as
select
  (c.hour at time zone 'UTC')::date as day, c.series_ticker, count(distinct c.market_ticker) as markets,
  count(*) filter (where c.state <> 'not_yet_due') as hours,
  count(*) filter (where c.state = 'live') as live,
  count(*) filter (where c.state = 'repaired') as repaired,
  count(*) filter (where c.state = 'candles_only') as candles_only,
  count(*) filter (where c.state = 'checked_empty') as checked_empty,
  count(*) filter (where c.state = 'degraded') as degraded,
  count(*) filter (where c.state = 'absent') as absent,
  count(*) filter (where c.state = 'not_yet_due') as not_yet_due,
  round(
    count(*) filter (where c.state in ('live', 'repaired', 'candles_only', 'checked_empty'))::numeric
      / nullif(count(*) filter (where c.state <> 'not_yet_due'), 0), 4) as share_covered
from coverage c
group by 1, 2;
