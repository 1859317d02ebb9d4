-- When a tick was received is kept as its distance from the exchange's stamp: half the bytes. A stamp that is weeks off is no tick.
insert into quarantine (received_at, feed, cause, raw)
select received_at, 'socket', 'the exchange''s stamp is weeks from when it was received', convert_to(row_to_json(t)::text, 'UTF8')
from ticks t where abs(extract(epoch from received_at - ts)) > 2000000;
delete from ticks where abs(extract(epoch from received_at - ts)) > 2000000;

drop view market_ticks;
alter table ticks alter column received_at type integer using round(extract(epoch from received_at - ts) * 1000)::integer;
alter table ticks rename column received_at to received_ms;
comment on column ticks.received_ms is 'when the frame left the socket, our clock: milliseconds after ts';

-- Rows of a market come in order: pages of the index need no room to grow.
drop index ticks_market_ts;
create index ticks_market_ts on ticks (market_id, ts) with (fillfactor = 100);

create function received_at(ts timestamptz, received_ms integer) returns timestamptz
  language sql immutable parallel safe
  return ts + received_ms * interval '1 millisecond';

create view market_ticks as
select
  t.ts, k.ticker, t.price_dollars, t.yes_bid_dollars, t.yes_ask_dollars, t.yes_bid_size, t.yes_ask_size,
  t.last_trade_size, t.volume, t.open_interest, t.dollar_volume, t.dollar_open_interest,
  implied_yes_mid(t.yes_bid_dollars, t.yes_ask_dollars) as implied_yes_mid,
  received_at(t.ts, t.received_ms) as received_at, provenance_name(t.provenance) as provenance
from ticks t
join market_keys k using (market_id);

-- The frames of ticks as they came, where STORE_RAW asks for them; the journal has them in any case.
create table tick_frames (
  ts timestamptz not null,
  received_ms integer not null,
  market_id integer not null,
  raw json not null
) partition by range (ts);
create index tick_frames_market_ts on tick_frames (market_id, ts);
create table tick_frames_default partition of tick_frames default;

create view market_tick_frames as
select f.ts, k.ticker, received_at(f.ts, f.received_ms) as received_at, f.raw
from tick_frames f
join market_keys k using (market_id);

-- From when on slots of a journal's markets were stored by another process: what the journal holds of them since is not stored from it.
create table journal_fences (
  journal text not null,
  shard text not null,
  slot smallint not null,
  since timestamptz not null,
  primary key (journal, shard, slot, since)
);
