-- Windows of the seamless sequence that the comparison works through, and ranges that were read for their own sake.
alter table trade_windows add column kind text not null default 'reconcile' check (kind in ('reconcile', 'range'));
comment on column trade_windows.kind is 'reconcile: of the sequence that the comparison goes on from; range: read by itself';
create index trade_windows_reconcile on trade_windows (from_ts desc, to_ts desc) where kind = 'reconcile';

-- One-minute candles of a market rebuilt from its stored trades, exact: those that end in (from_ts, to_ts]. A period holds its end and
-- not its start, as the exchange's do; a period without a trade has none. Trades of one instant are told apart by their id, since the
-- exchange's order among them is not known. Complete only where trades_complete() says so.
create function candles_from_trades(of_ticker text, from_ts timestamptz, to_ts timestamptz)
returns table (
  start_period_ts timestamptz, end_period_ts timestamptz, open numeric, high numeric, low numeric, close numeric, mean numeric,
  volume numeric, trades bigint
) language sql stable as $function$
  with exact as (
    select t.ts + coalesce(t.micros, 0) * interval '1 microsecond' as at, t.trade_id, t.yes_price_dollars as price, t.count
    from trades t
    where t.market_id = (select k.market_id from market_keys k where k.ticker = of_ticker)
      and t.ts >= candles_from_trades.from_ts and t.ts <= candles_from_trades.to_ts
  ), periods as (
    select date_bin('1 minute', at - interval '1 microsecond', timestamptz '2000-01-01 00:00:00Z') as starts, e.*
    from exact e
    where e.at > candles_from_trades.from_ts and e.at <= candles_from_trades.to_ts
  )
  select
    p.starts, p.starts + interval '1 minute', (array_agg(p.price order by p.at, p.trade_id))[1], max(p.price), min(p.price),
    (array_agg(p.price order by p.at desc, p.trade_id desc))[1], sum(p.price * p.count) / sum(p.count), sum(p.count), count(*)
  from periods p
  group by p.starts
  order by p.starts
$function$;
