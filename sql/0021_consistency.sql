-- What was recorded, compared with the exchange's own word on it.
create table consistency_checks (
  id bigint generated always as identity primary key,
  checked_at timestamptz not null default clock_timestamp(),
  what text not null check (what in ('candle_trades', 'candle_quotes', 'book')),
  market_ticker text not null,
  from_ts timestamptz not null,
  to_ts timestamptz not null,
  compared integer not null,
  mismatched integer not null,
  ambiguous integer not null default 0,
  worst numeric,
  detail jsonb
);
comment on column consistency_checks.what is
  'candle_trades: prices and volume of one-minute candles, from trades; candle_quotes: their bid and ask, from ticks; book: order books';
comment on column consistency_checks.compared is 'candles, or books';
comment on column consistency_checks.ambiguous is 'differences that a trade or tick on the very boundary of a minute explains; not among the mismatches';
comment on column consistency_checks.worst is 'the largest difference: dollars for candles, contracts for books';
create index consistency_checks_at on consistency_checks (checked_at);
create index consistency_checks_market on consistency_checks (market_ticker, what);

-- One-minute candles that end in (from_ts, to_ts], rebuilt from trades, against the exchange's: a period that neither has is the same.
-- Trades of one millisecond may have come in any order; a difference where a trade stands on the boundary of its minute to the
-- millisecond is ambiguous. The exchange's mean may be rounded either way. Fit where the trades are complete and the exchange was asked.
create function compare_trade_candles(of_ticker text, from_ts timestamptz, to_ts timestamptz)
returns table (end_period_ts timestamptz, verdict text, difference numeric, ours jsonb, theirs jsonb)
language sql stable as $function$
  with theirs as materialized (
    select c.end_period_ts as ends, c.open, c.high, c.low, c.close, c.mean, coalesce(c.volume, 0) as volume
    from market_candles c
    where c.market_ticker = of_ticker and c.period_interval_minutes = 1
      and c.end_period_ts > compare_trade_candles.from_ts and c.end_period_ts <= compare_trade_candles.to_ts
  ), ours as materialized (
    select c.end_period_ts as ends, c.open, c.high, c.low, c.close, c.mean, c.volume, c.trades
    from candles_from_trades(of_ticker, compare_trade_candles.from_ts, compare_trade_candles.to_ts) c
  ), stamped as materialized (
    select t.ts, t.yes_price_dollars as price,
      date_bin('1 minute', t.ts + coalesce(t.micros, 0) * interval '1 microsecond' - interval '1 microsecond',
        timestamptz '2000-01-01 00:00:00Z') + interval '1 minute' as ends
    from trades t
    where t.market_id = (select k.market_id from market_keys k where k.ticker = of_ticker)
      and t.ts >= compare_trade_candles.from_ts and t.ts <= compare_trade_candles.to_ts
  ), bounds as (
    select s.ends, min(s.ts) as first, max(s.ts) as last from stamped s group by s.ends
  ), firsts as (
    select b.ends,
      array_agg(s.price) filter (where s.ts = b.first) as opens,
      array_agg(s.price) filter (where s.ts = b.last) as closes
    from bounds b join stamped s using (ends) group by b.ends
  ), compared as (
    select coalesce(o.ends, t.ends) as ends, o, t,
      greatest(
        case when t.open = any (f.opens) then 0 else abs(o.open - t.open) end,
        case when t.close = any (f.closes) then 0 else abs(o.close - t.close) end,
        abs(o.high - t.high), abs(o.low - t.low),
        case when abs(o.mean - t.mean) > power(10::numeric, -scale(t.mean)) then abs(o.mean - t.mean) else 0 end,
        0
      ) as difference,
      coalesce(o.volume, 0) = coalesce(t.volume, 0) and (o.open is null) = (t.open is null) as is_same_volume
    from ours o
    full join theirs t using (ends)
    left join firsts f on f.ends = o.ends
  )
  select c.ends,
    case
      when c.difference = 0 and c.is_same_volume then 'same'
      when exists (select from stamped s where s.ts in (c.ends, c.ends - interval '1 minute')) then 'ambiguous'
      else 'different'
    end,
    c.difference, to_jsonb(c.o) - 'ends', to_jsonb(c.t) - 'ends'
  from compared c
  order by c.ends
$function$;

-- Bid and ask of the exchange's one-minute candles that end in (from_ts, to_ts], against the ticks that were recorded: what held when
-- the minute began counts as part of it. Minutes before the first tick are left out; a difference where a tick stands on the boundary
-- of its minute is ambiguous. Fit where the feed was recorded without a gap.
create function compare_quote_candles(of_ticker text, from_ts timestamptz, to_ts timestamptz)
returns table (end_period_ts timestamptz, verdict text, difference numeric, ours jsonb, theirs jsonb)
language sql stable as $function$
  with market as materialized (
    select k.market_id from market_keys k where k.ticker = of_ticker
  ), theirs as (
    select c.* from market_candles c
    where c.market_ticker = of_ticker and c.period_interval_minutes = 1
      and c.end_period_ts > compare_quote_candles.from_ts and c.end_period_ts <= compare_quote_candles.to_ts
  ), compared as (
    select t.end_period_ts as ends, o, n.edge,
      jsonb_build_object(
        'bid', array[t.yes_bid_open, t.yes_bid_high, t.yes_bid_low, t.yes_bid_close],
        'ask', array[t.yes_ask_open, t.yes_ask_high, t.yes_ask_low, t.yes_ask_close]) as theirs,
      jsonb_build_object(
        'bid', array[o.bid, greatest(o.bid, n.high_bid), least(o.bid, n.low_bid), coalesce(n.close_bid, o.bid)],
        'ask', array[o.ask, greatest(o.ask, n.high_ask), least(o.ask, n.low_ask), coalesce(n.close_ask, o.ask)]) as ours,
      greatest(
        abs(t.yes_bid_open - o.bid), abs(t.yes_bid_high - greatest(o.bid, n.high_bid)),
        abs(t.yes_bid_low - least(o.bid, n.low_bid)), abs(t.yes_bid_close - coalesce(n.close_bid, o.bid)),
        abs(t.yes_ask_open - o.ask), abs(t.yes_ask_high - greatest(o.ask, n.high_ask)),
        abs(t.yes_ask_low - least(o.ask, n.low_ask)), abs(t.yes_ask_close - coalesce(n.close_ask, o.ask))) as difference
    from theirs t
    cross join market
    cross join lateral (
      select coalesce(k.yes_bid_dollars, 0) as bid, coalesce(k.yes_ask_dollars, 1) as ask
      from ticks k
      where k.market_id = market.market_id and k.ts <= t.end_period_ts - interval '1 minute'
        and k.ts > t.end_period_ts - interval '2 days'
      order by k.ts desc, k.received_ms desc limit 1
    ) o
    cross join lateral (
      select max(coalesce(k.yes_bid_dollars, 0)) as high_bid, min(coalesce(k.yes_bid_dollars, 0)) as low_bid,
        max(coalesce(k.yes_ask_dollars, 1)) as high_ask, min(coalesce(k.yes_ask_dollars, 1)) as low_ask,
        (array_agg(coalesce(k.yes_bid_dollars, 0) order by k.ts desc, k.received_ms desc))[1] as close_bid,
        (array_agg(coalesce(k.yes_ask_dollars, 1) order by k.ts desc, k.received_ms desc))[1] as close_ask,
        coalesce(bool_or(k.ts = t.end_period_ts), false) or exists (
          select from ticks e where e.market_id = market.market_id and e.ts = t.end_period_ts - interval '1 minute') as edge
      from ticks k
      where k.market_id = market.market_id and k.ts > t.end_period_ts - interval '1 minute' and k.ts <= t.end_period_ts
    ) n
  )
  select c.ends, case when c.difference = 0 then 'same' when c.edge then 'ambiguous' else 'different' end, c.difference, c.ours, c.theirs
  from compared c
  order by c.ends
$function$;
