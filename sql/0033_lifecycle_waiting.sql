-- Messages of the lifecycle feed about markets that the catalog does not know: most are of markets that nobody records, some of markets
-- that were made while the feed was not received. They wait here until the catalog knows the market, or a day.
create table lifecycle_waiting (
  received_at timestamptz not null,
  ts timestamptz,
  market_ticker text not null,
  event_type text not null,
  result text,
  settlement_value_dollars numeric,
  sid integer,
  seq bigint,
  raw jsonb not null
);
create index lifecycle_waiting_market on lifecycle_waiting (market_ticker);
create index lifecycle_waiting_received on lifecycle_waiting (received_at);

create function claim_waiting_lifecycle(tickers text[]) returns void language sql as $function$
  with claimed as (delete from lifecycle_waiting where market_ticker = any (tickers) returning *)
  insert into lifecycle_events (
    received_at, ts, market_ticker, event_type, result, settlement_value_dollars, sid, seq, raw)
  select received_at, ts, market_ticker, event_type, result, settlement_value_dollars, sid, seq, raw from claimed
  order by received_at, seq
$function$;

-- Once a statement, not once a row: one look into an index that is small.
create function markets_claim_lifecycle() returns trigger language plpgsql as $function$
begin
  perform claim_waiting_lifecycle(array(select ticker from made where exists (select from lifecycle_waiting w where w.market_ticker = made.ticker)));
  return null;
end
$function$;
create trigger markets_claim_lifecycle after insert on markets referencing new table as made
  for each statement execute function markets_claim_lifecycle();

-- What a market that was made at the same moment missed, and what nobody asked for within a day of `now_ts`. Returns how many are left.
create function sweep_waiting_lifecycle(now_ts timestamptz) returns bigint language plpgsql as $function$
begin
  perform claim_waiting_lifecycle(array(select distinct w.market_ticker from lifecycle_waiting w join markets m on m.ticker = w.market_ticker));
  delete from lifecycle_waiting where received_at < now_ts - interval '1 day';
  return (select count(*) from lifecycle_waiting);
end
$function$;
