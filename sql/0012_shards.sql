-- The same on every server and in every language: the first 32 bits of the MD5 of the key, modulo the number of slots.
create function market_slot(key text, slot_count integer) returns integer language sql immutable parallel safe
  return (('x' || substr(md5(key), 1, 8))::bit(32)::bigint % slot_count)::integer;

create table ws_members (
  instance text primary key,
  journal text not null,
  host text not null,
  pid integer not null,
  started_at timestamptz not null,
  seen_at timestamptz not null
);
comment on table ws_members is 'the live ws processes that share the slots';

-- `instance` null: free. The fencing token grows with every new holder.
create table shard_leases (
  slot smallint primary key,
  instance text,
  journal text,
  fence bigint not null default 0,
  acquired_at timestamptz,
  expires_at timestamptz
);
insert into shard_leases (slot) select generate_series(0, 11);

-- One beat of a ws process: it lives, keeps what it has, and takes free or expired slots up to its fair part. Returns what it holds;
-- `surplus` is beyond its fair part. A journal has one process: an earlier one with the same journal is dead.
create function ws_heartbeat(me text, my_journal text, my_host text, my_pid integer, ttl interval)
returns table (slot smallint, fence bigint, surplus boolean) language plpgsql as $function$
#variable_conflict use_column
declare
  moment timestamptz;
  quota integer;
begin
  perform pg_advisory_xact_lock(hashtext('shard_leases'));
  moment := clock_timestamp();
  insert into ws_members (instance, journal, host, pid, started_at, seen_at)
  values (me, my_journal, my_host, my_pid, moment, moment)
  on conflict (instance) do update set seen_at = excluded.seen_at;
  delete from ws_members m where m.seen_at < moment - ttl or (m.journal = my_journal and m.instance <> me);

  select (select count(*) from shard_leases) / members + (place <= (select count(*) from shard_leases) % members)::integer
  into quota
  from (
    select m.instance, row_number() over (order by m.started_at, m.instance) as place, count(*) over () as members
    from ws_members m
  ) ranked
  where ranked.instance = me;

  update shard_leases l set expires_at = moment + ttl where l.instance = me;
  update shard_leases l set instance = me, fence = l.fence + 1, acquired_at = moment, expires_at = moment + ttl
  where l.journal = my_journal and l.instance <> me;
  update shard_leases l set
    instance = me, journal = my_journal, fence = l.fence + 1, acquired_at = moment, expires_at = moment + ttl
  where l.slot in (
    select free.slot from shard_leases free
    where free.instance is null or free.expires_at <= moment
    order by free.slot
    limit greatest(0, quota - (select count(*) from shard_leases mine where mine.instance = me))
  );
  return query
    select l.slot, l.fence, row_number() over (order by l.slot) > quota from shard_leases l where l.instance = me order by l.slot;
end
$function$;

create function ws_release(me text, given smallint[]) returns void language sql as $function$
  update shard_leases set instance = null, expires_at = null where instance = me and slot = any (given);
  select pg_notify('ws_shards', '');
$function$;

create function ws_leave(me text) returns void language sql as $function$
  update shard_leases set instance = null, expires_at = null where instance = me;
  delete from ws_members where instance = me;
  select pg_notify('ws_shards', '');
$function$;
