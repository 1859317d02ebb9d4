-- What the portal reads. Each of its queries is bounded: by the active markets, by a page, or by a limit.

-- The words people search a market by; a ticker is one word to us and several to them, and few type its KX.
create function market_search_words(ticker text, title text, yes_sub_title text) returns tsvector
  language sql immutable parallel safe
  return to_tsvector(
    'simple'::regconfig,
    regexp_replace(
      ticker || ' ' || regexp_replace(ticker, '^KX', '') || ' ' || coalesce(title, '') || ' ' || coalesce(yes_sub_title, ''), '[^[:alnum:]]+', ' ', 'g'
    )
  );

create function market_is_closed(status text) returns boolean
  language sql immutable parallel safe
  return status not in ('initialized', 'active', 'inactive');

create index markets_search on markets using gin (market_search_words(ticker, title, yes_sub_title));
create index markets_closed on markets ((coalesce(close_time, '-infinity'::timestamptz)) desc, ticker desc)
  where market_is_closed(status);
create index markets_settled on markets (ticker) where status in ('finalized', 'settled');
create index capture_gaps_open on capture_gaps (id) where to_ts is null;

-- An instant as RFC 3339 text in UTC with microseconds.
create function rfc3339(at timestamptz) returns text
  language sql stable parallel safe
  return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- Rows of a table, or entries of a partial index, as the statistics of the last vacuum or analyze say; at least 0.
create function estimated_rows(relation text) returns bigint
  language sql stable
  return (select greatest(c.reltuples, 0)::bigint from pg_class c where c.oid = to_regclass(relation));
