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
comment on column consistency_checks.compared is 'candles, or sides of books';
comment on column consistency_checks.ambiguous is 'differences that a trade or tick on the very boundary of a minute explains; not among the mismatches';
comment on column consistency_checks.worst is 'the largest difference: dollars for candles, contracts for books';
create index consistency_checks_at on consistency_checks (checked_at);
create index consistency_checks_market on consistency_checks (market_ticker, what);
