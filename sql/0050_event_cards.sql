-- What lists show of an event, one row each, so that no page has to gather its markets. Kept up to date off the write path:
-- a trigger only notes which events changed, and `refresh_event_cards` does the rest.
create table event_cards (
  event_ticker text primary key,
  section text not null check (section in ('active', 'scheduled', 'closed')),
  status text not null check (status in ('open', 'paused', 'scheduled', 'closed', 'settled')),
  series_ticker text,
  title text,
  sub_title text,
  category text not null,
  strike_period text not null,
  open_time timestamptz,
  close_time timestamptz,
  markets integer not null,
  settled integer not null,
  is_complete boolean not null,
  outcome text,
  words tsvector not null,
  updated_at timestamptz not null default clock_timestamp()
);
comment on column event_cards.status is 'open: a market trades; paused: none trades, one may again; closed: past the close of all; settled: all final';
comment on column event_cards.category is 'empty when unknown, as is strike_period';
comment on column event_cards.is_complete is 'nothing of the event can still come: results, settlements and candles are stored';
comment on column event_cards.outcome is 'the winning outcome, or how many of the outcomes were yes';

-- The orders that lists come in. Absent times are last among those to come and last among those gone by.
create function far_future(at timestamptz) returns timestamptz language sql immutable parallel safe return coalesce(at, 'infinity');
create function far_past(at timestamptz) returns timestamptz language sql immutable parallel safe return coalesce(at, '-infinity');
create index event_cards_close_soon on event_cards (section, far_future(close_time), event_ticker);
create index event_cards_close_late on event_cards (section, far_past(close_time), event_ticker);
create index event_cards_open on event_cards (section, far_future(open_time), event_ticker);
create index event_cards_title on event_cards (section, coalesce(title, ''), event_ticker);
create index event_cards_category on event_cards (section, category, event_ticker);
create index event_cards_strike_period on event_cards (section, strike_period, event_ticker);
create index event_cards_markets on event_cards (section, markets, event_ticker);
create index event_cards_kind on event_cards (section, category, strike_period, far_past(close_time), event_ticker);
create index event_cards_words on event_cards using gin (words);
create index event_cards_span on event_cards using gist (coverage_span(open_time, close_time));

-- How many events (and markets) there are of each kind.
create table event_counts (
  section text not null,
  category text not null,
  strike_period text not null,
  status text not null,
  is_complete boolean not null,
  events bigint not null,
  markets bigint not null,
  settled bigint not null,
  primary key (section, category, strike_period, status, is_complete)
);

create function count_event_cards(tickers text[], sign integer) returns void language sql as $function$
  insert into event_counts as c
  select section, category, strike_period, status, is_complete, sign * count(*), sign * sum(markets), sign * sum(settled)
  from event_cards where event_ticker = any (tickers) group by 1, 2, 3, 4, 5
  on conflict (section, category, strike_period, status, is_complete) do update set
    events = c.events + excluded.events, markets = c.markets + excluded.markets, settled = c.settled + excluded.settled
$function$;

-- Events whose card must be made anew. Rows are only added and removed, so that no writer waits for another.
create table event_cards_stale (event_ticker text not null);
insert into event_cards_stale select distinct event_ticker from markets where event_ticker is not null;

create function market_makes_card_stale() returns trigger language plpgsql as $function$
begin
  insert into event_cards_stale select new.event_ticker where new.event_ticker is not null;
  if tg_op = 'UPDATE' and old.event_ticker is distinct from new.event_ticker and old.event_ticker is not null then
    insert into event_cards_stale values (old.event_ticker);
  end if;
  return null;
end
$function$;
create trigger markets_card_new after insert on markets for each row execute function market_makes_card_stale();
create trigger markets_card_changed after update on markets for each row
  when (
    (old.event_ticker, old.status, old.title, old.yes_sub_title, old.open_time, old.close_time, old.result, old.completion)
    is distinct from
    (new.event_ticker, new.status, new.title, new.yes_sub_title, new.open_time, new.close_time, new.result, new.completion)
  )
  execute function market_makes_card_stale();

create function event_makes_card_stale() returns trigger language plpgsql as $function$
begin
  insert into event_cards_stale values (new.event_ticker);
  return null;
end
$function$;
create trigger events_card_new after insert on events for each row execute function event_makes_card_stale();
create trigger events_card_changed after update on events for each row
  when (
    (old.series_ticker, old.title, old.sub_title, old.category, old.strike_period)
    is distinct from (new.series_ticker, new.title, new.sub_title, new.category, new.strike_period)
  )
  execute function event_makes_card_stale();

-- Makes up to `most` cards anew, one process at a time. Returns how many notes of change it worked off; told on `cards_changed`.
create function refresh_event_cards(most integer) returns integer language plpgsql as $function$
declare
  tickers text[];
  notes integer;
begin
  if not pg_try_advisory_xact_lock(hashtext('event_cards')) then
    return 0;
  end if;
  with taken as (
    delete from event_cards_stale s where s.ctid = any (array(select ctid from event_cards_stale limit most)) returning s.event_ticker
  )
  select array_agg(distinct t.event_ticker), count(*) into tickers, notes from taken t;
  if tickers is null then
    return 0;
  end if;
  perform count_event_cards(tickers, -1);

  with outcomes as (
    select m.event_ticker,
      min(m.open_time) as open_time, max(m.close_time) as close_time, count(*)::integer as markets,
      count(*) filter (where m.status in ('finalized', 'settled'))::integer as settled,
      bool_or(m.status = 'active') as is_open, bool_or(m.status = 'inactive') as is_paused,
      bool_or(m.status = 'initialized') as is_ahead, bool_and(m.completion is not null) as is_complete,
      count(*) filter (where m.result = 'yes') as won, count(*) filter (where m.result <> '') as decided,
      min(coalesce(m.yes_sub_title, m.title, m.ticker)) filter (where m.result = 'yes') as winner,
      min(m.title) as title,
      string_agg(
        case when starts_with(m.ticker, m.event_ticker) then substr(m.ticker, length(m.event_ticker) + 1) else m.ticker end
          || ' ' || coalesce(m.yes_sub_title, ''), ' ' order by m.ticker) as words
    from markets m where m.event_ticker = any (tickers) group by m.event_ticker
  )
  insert into event_cards as c (
    event_ticker, section, status, series_ticker, title, sub_title, category, strike_period, open_time, close_time, markets, settled,
    is_complete, outcome, words)
  select
    o.event_ticker,
    case when o.is_open or o.is_paused then 'active' when o.is_ahead then 'scheduled' else 'closed' end,
    case when o.is_open then 'open' when o.is_paused then 'paused' when o.is_ahead then 'scheduled'
      when o.settled = o.markets then 'settled' else 'closed' end,
    e.series_ticker, coalesce(e.title, o.title), e.sub_title, coalesce(e.category, s.category, ''), coalesce(e.strike_period, ''),
    o.open_time, o.close_time, o.markets, o.settled, o.is_complete,
    case when o.decided = 0 then null when o.won = 1 then o.winner
      when o.markets = 1 then 'no' else o.won || ' of ' || o.markets || ' yes' end,
    to_tsvector('simple'::regconfig, regexp_replace(
      left(concat_ws(' ', o.event_ticker, regexp_replace(o.event_ticker, '^KX', ''), e.series_ticker, coalesce(e.title, o.title),
        e.sub_title, e.category, o.words), 100000), '[^[:alnum:]]+', ' ', 'g'))
  from outcomes o
  left join events e using (event_ticker)
  left join series s on s.ticker = e.series_ticker
  on conflict (event_ticker) do update set
    section = excluded.section, status = excluded.status, series_ticker = excluded.series_ticker, title = excluded.title,
    sub_title = excluded.sub_title, category = excluded.category, strike_period = excluded.strike_period,
    open_time = excluded.open_time, close_time = excluded.close_time, markets = excluded.markets, settled = excluded.settled,
    is_complete = excluded.is_complete, outcome = excluded.outcome, words = excluded.words, updated_at = clock_timestamp();
  delete from event_cards c
  where c.event_ticker = any (tickers) and not exists (select from markets m where m.event_ticker = c.event_ticker);

  perform count_event_cards(tickers, 1);
  perform refresh_event_quotes(tickers);
  perform pg_notify('cards_changed', json_build_object('events', cardinality(tickers))::text);
  return notes;
end
$function$;

-- The quote to show of a market: the newest tick, unless a later snapshot was read at least a minute after it.
create view market_quotes as
select
  m.ticker, m.event_ticker, coalesce(m.yes_sub_title, m.title, m.ticker) as name, m.status,
  case when q.is_snapshot then m.rest_yes_bid_dollars else t.yes_bid_dollars end as yes_bid_dollars,
  case when q.is_snapshot then m.rest_yes_ask_dollars else t.yes_ask_dollars end as yes_ask_dollars,
  case when q.is_snapshot then m.rest_yes_bid_size else t.yes_bid_size end as yes_bid_size,
  case when q.is_snapshot then m.rest_yes_ask_size else t.yes_ask_size end as yes_ask_size,
  case when q.is_snapshot then m.rest_price_dollars else t.price_dollars end as price_dollars,
  case when q.is_snapshot then m.rest_volume else t.volume end as volume,
  case when q.is_snapshot then m.rest_open_interest else t.open_interest end as open_interest,
  case when q.is_snapshot then m.rest_quote_at else t.ts end as quoted_at,
  case when q.is_snapshot then 'snapshot' when t.market_id is not null then 'live' end as source,
  t.received_at
from markets m
left join market_keys k on k.ticker = m.ticker
left join ticks_latest t on t.market_id = k.market_id
cross join lateral (
  select m.rest_quote_at is not null and (t.market_id is null or m.rest_quote_at > t.received_at + interval '1 minute') as is_snapshot
) q;

-- The part of a card that moves with the ticks; small, so that changing it is cheap.
create table event_quotes (
  event_ticker text primary key,
  leader_ticker text,
  leader_name text,
  leader_mid numeric,
  volume numeric,
  quoted_at timestamptz,
  updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);
comment on column event_quotes.leader_mid is 'the highest implied probability among the outcomes';

create function refresh_event_quotes(tickers text[]) returns integer language sql as $function$
  with quotes as (
    select q.event_ticker, q.ticker, q.name, q.volume, q.quoted_at, implied_yes_mid(q.yes_bid_dollars, q.yes_ask_dollars) as mid
    from market_quotes q
    where q.event_ticker = any (tickers)
  ), changed as (
    insert into event_quotes as e (event_ticker, leader_ticker, leader_name, leader_mid, volume, quoted_at)
    select event_ticker,
      (array_agg(ticker order by mid desc nulls last, ticker))[1], (array_agg(name order by mid desc nulls last, ticker))[1],
      round(max(mid), 6), sum(volume), max(quoted_at)
    from quotes group by event_ticker
    on conflict (event_ticker) do update set
      leader_ticker = excluded.leader_ticker, leader_name = excluded.leader_name, leader_mid = excluded.leader_mid,
      volume = excluded.volume, quoted_at = excluded.quoted_at, updated_at = clock_timestamp()
    where (e.leader_ticker, e.leader_mid, e.volume, e.quoted_at)
      is distinct from (excluded.leader_ticker, excluded.leader_mid, excluded.volume, excluded.quoted_at)
    returning 1
  )
  select count(*)::integer from changed
$function$;

-- Quotes of every event that trades, at most once in `every`, one process at a time. Returns how many changed.
create table event_quotes_refreshed (
  one boolean primary key default true check (one),
  at timestamptz not null
);
insert into event_quotes_refreshed (at) values ('-infinity');

create function refresh_active_quotes(every interval) returns integer language plpgsql as $function$
begin
  if not pg_try_advisory_xact_lock(hashtext('event_quotes')) then
    return 0;
  end if;
  update event_quotes_refreshed set at = clock_timestamp() where at < clock_timestamp() - every;
  if not found then
    return 0;
  end if;
  return refresh_event_quotes(array(select distinct a.event_ticker from active_markets a where a.event_ticker is not null));
end
$function$;

-- Gaps of a span are found by the span.
create index capture_gaps_overlap on capture_gaps using gist (coverage_span(from_ts, coalesce(to_ts, 'infinity')));
