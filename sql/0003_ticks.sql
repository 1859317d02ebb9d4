-- A short number for each market ticker: ticks are many and tickers are long. A ticker that no catalog knows yet gets
-- its number all the same, so that its ticks are never refused.
create table market_keys (
  market_id integer generated always as identity primary key,
  ticker text not null unique
);

create table ticks (
  ts timestamptz not null,
  received_at timestamptz not null,
  market_id integer not null,
  provenance smallint not null default 0,
  price_dollars numeric,
  yes_bid_dollars numeric,
  yes_ask_dollars numeric,
  yes_bid_size numeric,
  yes_ask_size numeric,
  last_trade_size numeric,
  volume numeric,
  open_interest numeric,
  dollar_volume numeric,
  dollar_open_interest numeric
) partition by range (ts);
comment on column ticks.ts is 'the exchange''s clock, milliseconds';
comment on column ticks.received_at is 'when the frame left the socket, our clock';
comment on column ticks.provenance is '0 live, 1 snapshot, 2 backfill, 3 repaired, 4 replay';
create index ticks_market_ts on ticks (market_id, ts);
create table ticks_default partition of ticks default;

create table ticks_latest (
  market_id integer primary key,
  ts timestamptz not null,
  received_at timestamptz not null,
  price_dollars numeric,
  yes_bid_dollars numeric,
  yes_ask_dollars numeric,
  yes_bid_size numeric,
  yes_ask_size numeric,
  last_trade_size numeric,
  volume numeric,
  open_interest numeric
) with (fillfactor = 60);

-- The probability a two-sided quote implies; null when a side is empty (bid 0, ask 1).
create function implied_yes_mid(bid numeric, ask numeric) returns numeric
  language sql immutable parallel safe
  return case when bid > 0 and ask < 1 then (bid + ask) / 2 end;

create function provenance_name(provenance smallint) returns text
  language sql immutable parallel safe
  return (array['live', 'snapshot', 'backfill', 'repaired', 'replay'])[provenance + 1];

create view market_ticks as
select
  t.ts, k.ticker, t.price_dollars, t.yes_bid_dollars, t.yes_ask_dollars, t.yes_bid_size, t.yes_ask_size,
  t.last_trade_size, t.volume, t.open_interest, t.dollar_volume, t.dollar_open_interest,
  implied_yes_mid(t.yes_bid_dollars, t.yes_ask_dollars) as implied_yes_mid,
  t.received_at, provenance_name(t.provenance) as provenance
from ticks t
join market_keys k using (market_id);

create view market_ticks_latest as
select
  t.ts, k.ticker, t.price_dollars, t.yes_bid_dollars, t.yes_ask_dollars, t.yes_bid_size, t.yes_ask_size,
  t.last_trade_size, t.volume, t.open_interest,
  implied_yes_mid(t.yes_bid_dollars, t.yes_ask_dollars) as implied_yes_mid,
  t.received_at
from ticks_latest t
join market_keys k using (market_id);
