-- Public trades. The live feed and the exchange's list show the same trade twice: it is one row here, whoever comes first.
create table trades (
  ts timestamptz not null,
  received_at timestamptz,
  trade_id uuid not null,
  market_id integer not null,
  micros smallint check (micros between 0 and 999),
  provenance smallint not null default 0,
  count numeric not null,
  yes_price_dollars numeric not null,
  no_price_dollars numeric,
  taker_yes boolean,
  is_block_trade boolean not null,
  primary key (trade_id, ts)
) partition by range (ts);
comment on column trades.ts is 'the exchange''s clock, milliseconds, as the feed that came first has it';
comment on column trades.micros is 'microseconds beyond ts; null while only the live feed, which has milliseconds, has shown the trade';
comment on column trades.received_at is 'when the frame left the socket, our clock; null when the live feed has not shown the trade';
comment on column trades.provenance is '0 live, 1 snapshot, 2 backfill, 3 repaired, 4 replay';
comment on column trades.no_price_dollars is 'only where it is not 1 - yes_price_dollars';
create index trades_market_ts on trades (market_id, ts);
create table trades_default partition of trades default;

create view market_trades as
select
  t.ts, k.ticker, t.trade_id, t.count, t.yes_price_dollars,
  coalesce(t.no_price_dollars, 1 - t.yes_price_dollars) as no_price_dollars,
  case t.taker_yes when true then 'yes' when false then 'no' end as taker_side,
  t.is_block_trade, t.received_at, provenance_name(t.provenance) as provenance, t.micros
from trades t
join market_keys k using (market_id);

-- Spans in which the stored trades were compared with the exchange's own list, every page of it.
create table trade_windows (
  id bigint generated always as identity primary key,
  market_ticker text,
  from_ts timestamptz not null,
  to_ts timestamptz not null,
  checked_at timestamptz not null,
  seen_rest integer not null,
  stored_live integer not null,
  repaired integer not null,
  complete boolean not null,
  cause text,
  unique nulls not distinct (market_ticker, from_ts, to_ts),
  check (from_ts < to_ts),
  check (complete = (cause is null))
);
comment on table trade_windows is 'from_ts inclusive, to_ts exclusive; market_ticker null means every market that was known at checked_at';
comment on column trade_windows.checked_at is 'when the reading began, this server''s clock';
comment on column trade_windows.seen_rest is 'trades of these markets in the exchange''s list';
comment on column trade_windows.stored_live is 'rows of the window that the live feed brought';
comment on column trade_windows.repaired is 'rows of the window that only the exchange''s list brought';
create index trade_windows_span on trade_windows (from_ts, to_ts);

-- Whether every trade of this market in [from_ts, to_ts) is stored: proven by windows that leave no seam.
create function trades_complete(ticker text, from_ts timestamptz, to_ts timestamptz) returns boolean
  language sql stable
  return coalesce(
    (
      select range_agg(tstzrange(w.from_ts, w.to_ts)) @> tstzrange(trades_complete.from_ts, trades_complete.to_ts)
      from trade_windows w
      where w.complete and w.from_ts < trades_complete.to_ts and w.to_ts > trades_complete.from_ts
        and (
          w.market_ticker = trades_complete.ticker
          or w.market_ticker is null and w.checked_at >= (
            select m.first_seen_at from markets m where m.ticker = trades_complete.ticker
          )
        )
    ),
    false
  );
