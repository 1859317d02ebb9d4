-- Changes of resting bids, and whole books between them. Order within a market is (connection, seq), never a clock: connections grow,
-- and within one connection the exchange numbers the messages of the channel.
create table book_events (
  ts timestamptz not null,
  received_at timestamptz not null,
  connection bigint not null,
  seq bigint not null,
  market_id integer not null,
  provenance smallint not null default 0,
  yes boolean not null,
  price numeric not null,
  delta numeric not null
) partition by range (ts);
comment on column book_events.ts is 'the exchange''s clock, milliseconds; received_at where the message has none';
comment on column book_events.yes is 'bids for yes, or for no';
comment on column book_events.delta is 'contracts, signed';
create index book_events_market on book_events (market_id, connection, seq);
create table book_events_default partition of book_events default;

create table book_snapshots (
  ts timestamptz not null,
  connection bigint not null,
  seq bigint not null,
  market_id integer not null,
  provenance smallint not null default 1,
  requested boolean not null,
  yes_prices numeric[] not null,
  yes_sizes numeric[] not null,
  no_prices numeric[] not null,
  no_sizes numeric[] not null
) partition by range (ts);
comment on column book_snapshots.ts is 'when it was received: the message has no stamp of its own';
comment on column book_snapshots.requested is 'asked for, by the hour or because messages were missing; else the first of a subscription';
create index book_snapshots_market on book_snapshots (market_id, connection, seq);
create table book_snapshots_default partition of book_snapshots default;

create view orderbook_events as
select
  e.ts, k.ticker, case when e.yes then 'yes' else 'no' end as side, e.price as price_dollars, e.delta, e.connection, e.seq,
  e.received_at, provenance_name(e.provenance) as provenance
from book_events e
join market_keys k using (market_id);

create view orderbook_snapshots as
select
  s.ts, k.ticker, s.yes_prices, s.yes_sizes, s.no_prices, s.no_sizes, s.requested, s.connection, s.seq,
  provenance_name(s.provenance) as provenance
from book_snapshots s
join market_keys k using (market_id);

-- Whether a row of capture_gaps is about a market: by name, or by the slot that the market is in.
create function gap_concerns(gap_shard text, gap_slots smallint[], gap_market text, of_ticker text) returns boolean
language sql stable
  return case
    when gap_market is not null then gap_market = of_ticker
    when gap_slots is null then true
    else market_slot(
      case split_part(gap_shard, '/', 1)
        when 'event' then coalesce((select m.event_ticker from markets m where m.ticker = of_ticker), of_ticker)
        else of_ticker end,
      split_part(gap_shard, '/', 2)::integer) = any (gap_slots)
  end;

-- The newest whole book that was known at an instant.
create function book_base(of_ticker text, at_ts timestamptz) returns setof book_snapshots language sql stable as $function$
  select s.* from book_snapshots s
  where s.market_id = (select k.market_id from market_keys k where k.ticker = of_ticker) and s.ts <= at_ts
  order by s.connection desc, s.seq desc limit 1
$function$;

-- The resting bids of a market at an instant, best last: the newest whole book received until then, and every later change of the
-- same connection that the exchange stamped until then. A change stamped later is left out though it came before another one; no rows
-- when no book was received. What a gap may have hidden is said by book_quality_at.
create function book_at(of_ticker text, at_ts timestamptz) returns table (side text, price_dollars numeric, size numeric)
language sql stable as $function$
  with base as materialized (select * from book_base(of_ticker, at_ts)),
  changes as (
    select true as yes, level.price, level.size
    from base, unnest(base.yes_prices, base.yes_sizes) as level (price, size)
    union all
    select false, level.price, level.size
    from base, unnest(base.no_prices, base.no_sizes) as level (price, size)
    union all
    select e.yes, e.price, e.delta
    from base
    join book_events e on e.market_id = base.market_id and e.connection = base.connection and e.seq > base.seq
    where e.ts <= at_ts and e.ts >= base.ts - interval '1 day'
  )
  select case when c.yes then 'yes' else 'no' end, c.price, sum(c.size)
  from changes c
  group by c.yes, c.price
  having sum(c.size) > 0
  order by c.yes desc, c.price
$function$;

-- What a book of book_at rests on: `exact`; `uncertain`, when the feed of the market has a gap between its whole book and the
-- instant; `absent`, when there is none.
create function book_quality_at(of_ticker text, at_ts timestamptz)
returns table (quality text, snapshot_ts timestamptz, changes bigint) language sql stable as $function$
  with base as materialized (select * from book_base(of_ticker, at_ts))
  select
    case
      when base.ts is null then 'absent'
      when exists (
        select from capture_gaps g
        where g.feed in ('all', 'orderbook_delta') and g.from_ts < at_ts and (g.to_ts is null or g.to_ts > base.ts)
          and gap_concerns(g.shard, g.slots, g.market_ticker, of_ticker)) then 'uncertain'
      else 'exact'
    end,
    base.ts,
    (select count(*) from book_events e
     where e.market_id = base.market_id and e.connection = base.connection and e.seq > base.seq and e.ts <= at_ts
       and e.ts >= base.ts - interval '1 day')
  from (values (1)) as one (n)
  left join base on true
$function$;

-- Best bid and ask of yes at an instant: an ask for yes is a bid for no.
create function top_of_book_at(of_ticker text, at_ts timestamptz)
returns table (yes_bid_dollars numeric, yes_bid_size numeric, yes_ask_dollars numeric, yes_ask_size numeric)
language sql stable as $function$
  with book as materialized (select * from book_at(of_ticker, at_ts)),
  yes as (select * from book where side = 'yes' order by price_dollars desc limit 1),
  no as (select * from book where side = 'no' order by price_dollars desc limit 1)
  select yes.price_dollars, yes.size, 1 - no.price_dollars, no.size
  from (values (1)) as one (n) left join yes on true left join no on true
$function$;
