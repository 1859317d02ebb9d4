-- Hours of markets by day, series and state, so that a heatmap of months does not count them one by one. Days whose hours changed are
-- noted by a trigger and counted anew off the write path.
create table coverage_days (
  day date not null,
  series_ticker text not null,
  state text not null,
  hours integer not null,
  markets integer not null,
  primary key (day, series_ticker, state)
);
comment on column coverage_days.day is 'UTC';

create table coverage_days_stale (day date not null);
insert into coverage_days_stale select distinct (hour at time zone 'UTC')::date from market_coverage;

create function hours_make_day_stale() returns trigger language plpgsql as $function$
begin
  insert into coverage_days_stale select distinct (hour at time zone 'UTC')::date from touched;
  return null;
end
$function$;
create trigger market_coverage_day_new after insert on market_coverage
  referencing new table as touched for each statement execute function hours_make_day_stale();
create trigger market_coverage_day_changed after update on market_coverage
  referencing new table as touched for each statement execute function hours_make_day_stale();
create trigger market_coverage_day_gone after delete on market_coverage
  referencing old table as touched for each statement execute function hours_make_day_stale();

-- Counts one day anew, one process at a time. Returns whether there was one to do.
create function refresh_coverage_day() returns boolean language plpgsql as $function$
declare
  due date;
begin
  if not pg_try_advisory_xact_lock(hashtext('coverage_days')) then
    return false;
  end if;
  select s.day into due from coverage_days_stale s order by s.day desc limit 1;
  if due is null then
    return false;
  end if;
  delete from coverage_days_stale s where s.day = due;
  delete from coverage_days d where d.day = due;
  insert into coverage_days (day, series_ticker, state, hours, markets)
  select due, coalesce(e.series_ticker, ''), c.state, count(*), count(distinct c.market_id)
  from market_coverage c
  join market_keys k using (market_id)
  left join markets m on m.ticker = k.ticker
  left join events e on e.event_ticker = m.event_ticker
  where c.hour >= due::timestamp at time zone 'UTC' and c.hour < (due + 1)::timestamp at time zone 'UTC'
  group by 2, 3;
  return true;
end
$function$;
