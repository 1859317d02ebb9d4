-- A worker may join twice: the reply to the first time may have been lost.
create or replace function queue_join(me text, my_host text, my_pid integer, my_types text[], ttl float8) returns void
language sql as $function$
  insert into queue_workers (instance, host, pid, job_types, expires_at)
  values (me, my_host, my_pid, my_types, clock_timestamp() + ttl * interval '1 second')
  on conflict (instance) do update set seen_at = clock_timestamp(), expires_at = excluded.expires_at
$function$;

-- Renews the lease; false: it is lost. `held`: what this worker knows that it holds. A claim whose reply did not reach it leaves jobs in
-- its name that are not among those: once a reply must have come they are given back. Null, as from a worker of an earlier version: it may know all.
drop function queue_beat(text, float8);
create function queue_beat(me text, ttl float8, held bigint[] default null) returns boolean language plpgsql as $function$
begin
  update queue_workers set seen_at = clock_timestamp(), expires_at = clock_timestamp() + ttl * interval '1 second'
  where instance = me and not lost;
  if not found then
    return false;
  end if;
  perform queue_release(me, array_agg(j.id), array_agg(j.fence)) from (
    select q.id, q.fence from queue_jobs q
    where q.locked_by = me and q.locked_at < clock_timestamp() - ttl * interval '1 second' and q.id <> all (held)
    order by q.id for update skip locked
  ) j
  having count(*) > 0;
  return true;
end
$function$;

-- Gives what this worker still holds back, and takes it off the list. What it is claiming at this moment is waited for.
create or replace function queue_leave(me text) returns integer language plpgsql as $function$
declare
  given integer;
begin
  perform from queue_workers w where w.instance = me for update;
  select count(*) into given from queue_release(
    me, array(select j.id from queue_jobs j where j.locked_by = me order by j.id),
    array(select j.fence from queue_jobs j where j.locked_by = me order by j.id));
  delete from queue_workers where instance = me;
  return given;
end
$function$;

-- Takes the jobs of workers whose lease ran out, or that are not on the list: the attempt counts. At the first loss a job is ready at
-- once, later it waits. A job that its holder has locked in a transaction stays until that ends. One rescuer at a time. Like a worker
-- that leaves, it locks workers before their jobs.
create or replace function queue_rescue() returns table (id bigint, job_type text, dead boolean) language plpgsql as $function$
#variable_conflict use_column
declare
  gone text[];
  absent text[];
  ids bigint[];
  delays float8[];
  causes text[];
begin
  if not pg_try_advisory_xact_lock(hashtext('queue_rescue')) then
    return;
  end if;
  update queue_workers w set lost = true
  where w.instance in (
    select c.instance from queue_workers c where not c.lost and c.expires_at < clock_timestamp() for update skip locked);
  gone := array(select w.instance from queue_workers w where w.lost for update skip locked);
  absent := array(
    select distinct j.locked_by from queue_jobs j
    where j.locked_by is not null and not exists (select from queue_workers w where w.instance = j.locked_by));
  if cardinality(gone || absent) = 0 then
    return;
  end if;
  select
    array_agg(held.id),
    array_agg(case when held.attempts <= 1 then 0 else least(60, 2 ^ (held.attempts - 1)) * (0.8 + 0.4 * random()) end),
    array_agg(format('worker %s stopped answering in attempt %s of %s', held.locked_by, held.attempts, held.max_attempts))
  into ids, delays, causes
  from (
    select j.id, j.attempts, j.max_attempts, j.locked_by from queue_jobs j
    where j.locked_by = any (gone || absent) order by j.id for update skip locked
  ) held;
  return query select s.* from queue_set_back(ids, delays, causes) s;
  delete from queue_workers w
  where w.instance = any (gone) and not exists (select from queue_jobs j where j.locked_by = w.instance);
end
$function$;

-- Gives dead letters another set of attempts, unless an unfinished job has their key by now, and tells those that LISTEN. Returns those.
create or replace function queue_revive(ids bigint[]) returns setof bigint language plpgsql as $function$
#variable_conflict use_column
declare
  revived bigint[];
begin
  with dead as (
    select * from queue_finished f where f.id = any (ids) and f.status = 'failed' for update skip locked
  ), entered as (
    insert into queue_jobs (id, job_type, payload, priority, dedupe_key, position, max_attempts, fence, last_error, created_at)
    select id, job_type, payload, priority, dedupe_key, nextval('queue_positions'), max_attempts, fence, last_error, created_at
    from dead order by job_type, dedupe_key, id
    on conflict (job_type, dedupe_key) where dedupe_key is not null do nothing
    returning queue_jobs.id
  ), gone as (
    delete from queue_finished f using entered e where f.id = e.id returning f.id, f.job_type
  ), told as (
    select pg_notify('work_queue_update', json_build_object('job_type', g.job_type, 'jobs', count(*))::text)
    from gone g group by g.job_type
  )
  select array_agg(g.id order by g.id) into revived from gone g where (select count(*) from told) > 0;
  return query select unnest(revived);
end
$function$;

-- Deletes at most `most` of either kind of what ended long enough ago: done ones and dead letters each have their own time.
create or replace function queue_clean(done_hours float8, failed_hours float8, most integer) returns integer language sql as $function$
  with done as (
    select f.id from queue_finished f
    where f.status = 'done' and f.finished_at < clock_timestamp() - done_hours * interval '1 hour'
    order by f.finished_at limit most for update skip locked
  ), failed as (
    select f.id from queue_finished f
    where f.status = 'failed' and f.finished_at < clock_timestamp() - failed_hours * interval '1 hour'
    order by f.finished_at limit most for update skip locked
  ), gone as (
    delete from queue_finished f where f.id in (select id from done union all select id from failed) returning 1
  )
  select count(*)::integer from gone
$function$;
