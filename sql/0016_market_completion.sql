-- The worklist of markets whose record is not complete yet, and how it ended for the others.
alter table markets
  add column completion text check (completion in ('settled', 'void', 'vanished', 'without_candles')),
  add column completed_at timestamptz,
  add column missing_since timestamptz;
comment on column markets.completion is
  'null: something may still come. settled: result, settlement and all candles are stored; void: the like, but neither yes nor no; vanished: the exchange does not know the market any more; without_candles: it knows the market but has no candles of it';
comment on column markets.missing_since is 'exchange time at which the exchange first did not know the market, or candles of it, in either tier';
create index markets_incomplete on markets (close_time, ticker) where completion is null;

-- The exchange's filter words for its statuses, as far as history asks for them; a word that it adds later is past its close.
create function market_stage(status text) returns text
  language sql immutable parallel safe
  return case
    when status = 'initialized' then 'unopened'
    when status in ('active', 'inactive') then 'open'
    when status in ('finalized', 'settled') then 'settled'
    else 'closed'
  end;
