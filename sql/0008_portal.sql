-- What the portal reads. Every query of it is bounded: by the active markets, by a page, or by the limits below.

-- The words people search a market by. A ticker is one word to us and several to them.
create function market_search_words(ticker text, title text, yes_sub_title text) returns tsvector
  language sql immutable parallel safe
  return to_tsvector('simple', translate(ticker, '-.', '  ') || ' ' || coalesce(title, '') || ' ' || coalesce(yes_sub_title, ''));

create function market_is_closed(status text) returns boolean
  language sql immutable parallel safe
  return status not in ('initialized', 'unopened', 'active', 'open', 'inactive', 'paused');

create index markets_search on markets using gin (market_search_words(ticker, title, yes_sub_title));
create index markets_closed on markets ((coalesce(close_time, '-infinity'::timestamptz)) desc, ticker desc)
  where market_is_closed(status);
create index markets_settled on markets (ticker) where status in ('finalized', 'settled');
create index capture_gaps_open on capture_gaps (id) where to_ts is null;

-- Rows of a table or partial index: what the statistics say, null before the first analyze.
create function estimated_rows(relation text) returns bigint
  language sql stable
  return (select case when c.reltuples >= 0 then c.reltuples::bigint end from pg_class c where c.oid = to_regclass(relation));
