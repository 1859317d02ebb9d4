-- What the exchange was asked for, so that an empty period is known to be empty and not asked for again.
create table candle_ranges (
  market_ticker text not null,
  period_interval_minutes integer not null,
  checked tstzmultirange not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (market_ticker, period_interval_minutes)
);
comment on table candle_ranges is 'spans whose candles the exchange was asked for and that are stored completely, by market and interval';
comment on column candle_ranges.checked is
  'from inclusive, to exclusive, both at ends of periods: every candle that ends after from and not after to. A period inside without a candle is empty. Never a span that was not over, and settled, when it was read.';
