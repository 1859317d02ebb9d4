-- What the frames so far said about the feed, as of the position: a reader that starts there knows it again.
alter table journal_positions add column state jsonb;
comment on column journal_positions.shard is 'how markets are divided: key/number of slots';

-- Markets are divided into slots; a process records some of them. Gaps of the link are gaps of slots.
alter table capture_gaps add column slots smallint[];
alter table capture_gaps add column journal text;
comment on column capture_gaps.feed is 'the channel, or all: the link that carries every channel';
comment on column capture_gaps.shard is 'how markets are divided: key/number of slots';
comment on column capture_gaps.slots is 'the slots that it concerns; null when market_ticker says it';
comment on column capture_gaps.journal is 'the journal in which the feed is missing';
comment on column capture_gaps.cause is
  'disconnect, silence, overflow, exchange_maintenance, process_down, shutdown, handover, sequence, left_out';

update capture_gaps set feed = 'all', shard = 'event/12', slots = '{0,1,2,3,4,5,6,7,8,9,10,11}';
update journal_positions set shard = 'event/12';

-- Which journal the feed of a slot goes to.
create table slot_feeds (
  shard text not null,
  slot smallint not null,
  journal text not null,
  since timestamptz not null,
  primary key (shard, slot)
);
insert into slot_feeds (shard, slot, journal, since)
select 'event/12', slot, newest.journal, newest.last_received_at
from (
  select journal, last_received_at from journal_positions where last_received_at is not null
  order by last_received_at desc limit 1
) newest, generate_series(0, 11) as slot;

create function smallints(numbers int[]) returns smallint[] language sql immutable parallel safe
  return array(select n::smallint from unnest(numbers) as n order by n);

create function slots_without_gap(of_shard text, of_slots smallint[]) returns smallint[] language sql stable
  return array(
    select slot from unnest(of_slots) as slot
    where not exists (
      select from capture_gaps g
      where g.shard = of_shard and g.feed = 'all' and g.to_ts is null and slot = any (g.slots))
    order by slot);

-- The link of a journal is lost: opens a gap for those of its slots that have none open and were not taken over meanwhile.
create function link_lost(
  of_shard text, of_slots smallint[], of_journal text, lost_at timestamptz, why text, explained text
) returns void language sql as $function$
  insert into capture_gaps (feed, shard, slots, from_ts, cause, detail, journal)
  select 'all', of_shard, mine.slots, greatest(lost_at, mine.since), why, explained, of_journal
  from (
    select array_agg(f.slot order by f.slot) as slots, min(f.since) as since
    from slot_feeds f
    where f.shard = of_shard and f.journal = of_journal and f.slot = any (slots_without_gap(of_shard, of_slots))
  ) mine
  where mine.slots is not null
$function$;

-- The link of a journal carries these slots from now on: closes their gaps. A slot that came from another journal, which did not say
-- when it lost it, has a gap from that journal's last stored sign of life. A gap of more slots stays open for the others.
create function link_live(of_shard text, of_slots smallint[], of_journal text, at timestamptz) returns void
language plpgsql as $function$
declare
  gap capture_gaps;
  rest smallint[];
begin
  insert into capture_gaps (feed, shard, slots, from_ts, to_ts, cause, detail, journal)
  select 'all', of_shard, array_agg(f.slot order by f.slot), p.last_received_at, greatest(p.last_received_at, at), 'process_down',
    'taken over from another journal', f.journal
  from slot_feeds f
  join journal_positions p using (journal)
  where f.shard = of_shard and f.journal <> of_journal and f.slot = any (slots_without_gap(of_shard, of_slots))
    and p.last_received_at is not null
  group by f.journal, p.last_received_at;

  for gap in
    select * from capture_gaps g
    where g.shard = of_shard and g.feed = 'all' and g.to_ts is null and g.slots && of_slots
    order by g.id for update
  loop
    rest := array(select slot from unnest(gap.slots) as slot where slot <> all (of_slots) order by slot);
    update capture_gaps g set
      to_ts = greatest(g.from_ts, at),
      slots = array(select slot from unnest(g.slots) as slot where slot = any (of_slots) order by slot)
    where g.id = gap.id;
    if cardinality(rest) > 0 then
      insert into capture_gaps (feed, shard, slots, from_ts, cause, detail, journal)
      values (gap.feed, gap.shard, rest, gap.from_ts, gap.cause, gap.detail, gap.journal);
    end if;
  end loop;

  insert into slot_feeds as f (shard, slot, journal, since)
  select of_shard, slot, of_journal, at from unnest(of_slots) as slot
  on conflict (shard, slot) do update set journal = excluded.journal, since = excluded.since
  where f.journal <> excluded.journal;
end
$function$;

-- A journal that was given up for dead turns out to hold more: what was taken for its end was too early.
create function narrow_gaps(of_journal text, alive_until timestamptz) returns void language sql as $function$
  update capture_gaps set from_ts = least(alive_until, to_ts)
  where journal = of_journal and cause = 'process_down' and feed = 'all' and from_ts < alive_until
    and (to_ts is null or to_ts > from_ts) and detail = 'taken over from another journal'
$function$;

-- Markets that should be recorded and are not, the connection being full or the exchange refusing them: one open row each.
create function set_left_out(
  of_shard text, of_journal text, of_feed text, tickers text[], why text, at timestamptz
) returns void language sql as $function$
  update capture_gaps g set to_ts = greatest(g.from_ts, at)
  where g.journal = of_journal and g.feed = of_feed and g.cause = 'left_out' and g.to_ts is null
    and g.market_ticker <> all (tickers);
  insert into capture_gaps (feed, shard, market_ticker, from_ts, cause, detail, journal)
  select of_feed, of_shard, ticker, at, 'left_out', why, of_journal from unnest(tickers) as ticker
  where not exists (
    select from capture_gaps g
    where g.journal = of_journal and g.feed = of_feed and g.cause = 'left_out' and g.to_ts is null and g.market_ticker = ticker)
$function$;
create index capture_gaps_left_out on capture_gaps (journal, feed, market_ticker) where to_ts is null and cause = 'left_out';
