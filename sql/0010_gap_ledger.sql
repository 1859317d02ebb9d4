-- What the frames so far said about the feed, as of the position: a reader that starts there knows it again.
alter table journal_positions add column state jsonb;

-- A process records a share of the markets: one of n static shards, or a set of leased slots.
alter table capture_gaps add column slots smallint[];
alter table capture_gaps add column journal text;
comment on column capture_gaps.feed is 'the channel, or all: the link that carries every channel';
comment on column capture_gaps.shard is 'slots: the markets of `slots`; i/n: shard i of n';
comment on column capture_gaps.journal is 'the journal in which the feed is missing';
comment on column capture_gaps.cause is
  'disconnect, silence, overflow, exchange_maintenance, process_down, shutdown, handover, sequence, refused';

update capture_gaps set feed = 'all' where feed = 'ticker';
update capture_gaps set shard = 'slots', slots = '{0,1,2,3,4,5,6,7,8,9,10,11}' where shard = '0';
update journal_positions set shard = 'slots' where shard = '0';

-- Opens a gap of the link, for the part of the share that has none open yet. `gap_slots` null: the whole shard.
create function open_link_gap(
  gap_shard text, gap_slots smallint[], since timestamptz, gap_cause text, gap_detail text, gap_journal text
) returns void language sql as $function$
  insert into capture_gaps (feed, shard, slots, from_ts, cause, detail, journal)
  select 'all', gap_shard, missing.slots, since, gap_cause, gap_detail, gap_journal
  from (
    select case when gap_slots is not null then array(
      select slot from unnest(gap_slots) as slot
      where not exists (
        select from capture_gaps g
        where g.shard = gap_shard and g.feed = 'all' and g.to_ts is null and g.market_ticker is null and slot = any(g.slots))
      order by slot) end as slots
  ) missing
  where case when gap_slots is not null then cardinality(missing.slots) > 0 else not exists (
    select from capture_gaps g
    where g.shard = gap_shard and g.feed = 'all' and g.to_ts is null and g.market_ticker is null) end
$function$;

-- Closes what is open of the share; a gap that reaches beyond the share stays open for the rest of it.
create function close_link_gap(gap_shard text, gap_slots smallint[], until timestamptz)
returns void language plpgsql as $function$
declare
  gap capture_gaps;
  rest smallint[];
begin
  for gap in
    select * from capture_gaps g
    where g.shard = gap_shard and g.feed = 'all' and g.to_ts is null and g.market_ticker is null
      and (gap_slots is null or g.slots && gap_slots)
    order by g.id for update
  loop
    rest := array(select slot from unnest(gap.slots) as slot where slot <> all(gap_slots) order by slot);
    update capture_gaps g set
      to_ts = greatest(g.from_ts, until),
      slots = case when gap_slots is null then g.slots
        else array(select slot from unnest(g.slots) as slot where slot = any(gap_slots) order by slot) end
    where g.id = gap.id;
    if gap_slots is not null and cardinality(rest) > 0 then
      insert into capture_gaps (feed, shard, slots, from_ts, cause, detail, journal)
      values (gap.feed, gap.shard, rest, gap.from_ts, gap.cause, gap.detail, gap.journal);
    end if;
  end loop;
end
$function$;
