-- A market's status only moves forward, however late or out of order the news of it comes: a final market stays final,
-- and a determined one can only become disputed, amended or final.
create function next_status(current text, incoming text) returns text
  language sql immutable parallel safe
  return case
    when incoming is null or current in ('finalized', 'settled') then current
    when current in ('determined', 'disputed', 'amended')
      and incoming in ('initialized', 'active', 'inactive', 'closed') then current
    when current in ('active', 'inactive', 'closed') and incoming = 'initialized' then current
    else incoming
  end;

create index markets_unfinished on markets (close_time) where status in ('initialized', 'active', 'inactive');

-- Opening and closing are silent on the exchange: at `now_ts` (its clock) they are due. Returns how many changed.
create function advance_market_clock(now_ts timestamptz) returns integer language plpgsql as $function$
declare
  opened integer;
  closed integer;
begin
  with due as (
    select ticker from markets
    where status = 'initialized' and open_time <= now_ts and close_time > now_ts
    order by ticker for update skip locked
  )
  update markets m set status = 'active', updated_at = clock_timestamp() from due where m.ticker = due.ticker;
  get diagnostics opened = row_count;
  with due as (
    select ticker from markets
    where status in ('initialized', 'active', 'inactive') and close_time <= now_ts
    order by ticker for update skip locked
  )
  update markets m set status = 'closed', updated_at = clock_timestamp() from due where m.ticker = due.ticker;
  get diagnostics closed = row_count;
  return opened + closed;
end
$function$;

-- Brings active_markets in line with markets: open or paused, not yet closed at `now_ts`, of a wanted strike period.
-- Tells listeners when anything changed.
create function refresh_active_markets(strike_periods text[], now_ts timestamptz) returns integer
language plpgsql as $function$
declare
  changed integer;
begin
  perform pg_advisory_xact_lock(hashtext('refresh_active_markets'));
  with wanted as (
    select m.ticker, m.event_ticker, m.status, m.open_time, m.close_time
    from markets m
    join events e using (event_ticker)
    where m.status in ('active', 'inactive') and m.close_time > now_ts and e.strike_period = any (strike_periods)
  ), gone as (
    delete from active_markets a where not exists (select from wanted w where w.ticker = a.ticker) returning 1
  ), kept as (
    insert into active_markets as a (ticker, event_ticker, status, open_time, close_time)
    select ticker, event_ticker, status, open_time, close_time from wanted
    on conflict (ticker) do update set
      event_ticker = excluded.event_ticker, status = excluded.status, open_time = excluded.open_time,
      close_time = excluded.close_time, updated_at = clock_timestamp()
    where (a.event_ticker, a.status, a.open_time, a.close_time)
      is distinct from (excluded.event_ticker, excluded.status, excluded.open_time, excluded.close_time)
    returning 1
  )
  select (select count(*) from gone) + (select count(*) from kept) into changed;
  if changed > 0 then
    perform pg_notify('markets_changed', json_build_object('changed', changed)::text);
  end if;
  return changed;
end
$function$;
