create table series (
  ticker text primary key,
  title text,
  frequency text,
  category text,
  tags text[],
  fee_type text,
  fee_multiplier numeric,
  contract_url text,
  last_updated timestamptz,
  first_seen_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);

create table events (
  event_ticker text primary key,
  series_ticker text,
  title text,
  sub_title text,
  category text,
  collateral_return_type text,
  mutually_exclusive boolean,
  strike_date timestamptz,
  strike_period text,
  strike_period_exchange text,
  cadence text,
  fee_type_override text,
  fee_multiplier_override numeric,
  exchange_index integer,
  last_updated timestamptz,
  first_seen_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
comment on column events.strike_period is 'hour or day, as the exchange says or as inferred; null when neither';
comment on column events.strike_period_exchange is 'the exchange''s own word, unchanged';
create index events_series on events (series_ticker);

create table markets (
  ticker text primary key,
  event_ticker text,
  market_type text,
  title text,
  yes_sub_title text,
  no_sub_title text,
  status text,
  created_time timestamptz,
  updated_time timestamptz,
  open_time timestamptz,
  close_time timestamptz,
  expected_expiration_time timestamptz,
  latest_expiration_time timestamptz,
  determination_ts timestamptz,
  settlement_ts timestamptz,
  settlement_timer_seconds integer,
  settlement_value_dollars numeric,
  result text,
  expiration_value text,
  can_close_early boolean,
  strike_type text,
  floor_strike numeric,
  cap_strike numeric,
  functional_strike text,
  custom_strike jsonb,
  rules_primary text,
  rules_secondary text,
  price_level_structure text,
  price_ranges jsonb,
  is_provisional boolean,
  is_multivariate boolean,
  exchange_index integer,
  rest_price_dollars numeric,
  rest_yes_bid_dollars numeric,
  rest_yes_ask_dollars numeric,
  rest_yes_bid_size numeric,
  rest_yes_ask_size numeric,
  rest_volume numeric,
  rest_volume_24h numeric,
  rest_open_interest numeric,
  rest_quote_at timestamptz,
  first_seen_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
comment on column markets.status is 'the exchange''s own word; our market clock moves initialized to active and active to closed, which it never announces';
comment on column markets.rest_quote_at is 'when the rest_* quote was read; ticks are newer and finer';
create index markets_event on markets (event_ticker);
create index markets_close_time on markets (close_time);
create index markets_clock on markets (open_time) where status = 'initialized';

-- The only markets the stream subscribes to: open or paused, of a wanted strike period.
create table active_markets (
  ticker text primary key,
  event_ticker text,
  status text not null,
  open_time timestamptz,
  close_time timestamptz,
  added_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
create index active_markets_close_time on active_markets (close_time);

create table ingest_state (
  key text primary key,
  value text not null,
  updated_at timestamptz not null default clock_timestamp()
);
