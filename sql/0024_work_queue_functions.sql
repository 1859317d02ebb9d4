-- Enters jobs in the caller's transaction. Returns those that are new, by their place in the arrays (from 1); a job whose key another
-- unfinished job of its type has is not entered, but may make that one more urgent. `tell`: workers that LISTEN hear of it.
create function queue_enqueue(
  types text[], payloads text[], priorities integer[], keys text[], delays float8[], most_attempts integer[], tell boolean
) returns table (nth bigint, id bigint) language plpgsql as $function$
#variable_conflict use_column
declare
  entered bigint;
begin
  return query
    with given as materialized (
      select g.*, nextval('queue_positions') as id
      from unnest(types, payloads, priorities, keys, delays, most_attempts) with ordinality
        as g(job_type, payload, priority, dedupe_key, delay, max_attempts, nth)
    ), entered as (
      insert into queue_jobs (id, job_type, payload, priority, dedupe_key, position, available_at, max_attempts)
      select
        g.id, g.job_type, g.payload::jsonb, g.priority, g.dedupe_key, case when g.delay > 0 then null else g.id end,
        clock_timestamp() + greatest(g.delay, 0) * interval '1 second', g.max_attempts
      from given g order by g.job_type, g.dedupe_key, g.id
      on conflict (job_type, dedupe_key) where dedupe_key is not null do nothing
      returning queue_jobs.id
    )
    select g.nth, g.id from given g join entered using (id) order by g.nth;
  get diagnostics entered = row_count;

  if tell and entered > 0 then
    perform pg_notify('work_queue_update', json_build_object('job_type', g.job_type, 'jobs', count(*))::text)
    from unnest(types, delays) as g(job_type, delay) where g.delay <= 0 group by g.job_type;
  end if;

  if exists (select from unnest(keys) as key where key is not null) then
    update queue_jobs j set
      priority = urgent.priority, position = case when j.position is null then null else nextval('queue_positions') end
    from (
      select q.id, g.priority
      from unnest(types, priorities, keys) as g(job_type, priority, dedupe_key)
      join queue_jobs q on q.job_type = g.job_type and q.dedupe_key = g.dedupe_key
      where q.locked_by is null and q.priority > g.priority
      order by g.priority for update of q skip locked
    ) urgent
    where j.id = urgent.id;
  end if;
end
$function$;

create function work_queue_insert() returns trigger language plpgsql as $function$
begin
  select e.id into new.id from queue_enqueue(
    array[new.job_type], array[coalesce(new.payload, '{}')::text], array[coalesce(new.priority, 5)::integer], array[new.dedupe_key],
    array[greatest(coalesce(extract(epoch from new.available_at - clock_timestamp()), 0), 0)::float8],
    array[coalesce(new.max_attempts, 5)], true
  ) e;
  return new;
end
$function$;
create trigger work_queue_insert instead of insert on work_queue for each row execute function work_queue_insert();

create function queue_join(me text, my_host text, my_pid integer, my_types text[], ttl float8) returns void language sql as $function$
  insert into queue_workers (instance, host, pid, job_types, expires_at)
  values (me, my_host, my_pid, my_types, clock_timestamp() + ttl * interval '1 second')
$function$;

-- Renews the lease; false: it is lost.
create function queue_beat(me text, ttl float8) returns boolean language sql as $function$
  with beat as (
    update queue_workers set seen_at = clock_timestamp(), expires_at = clock_timestamp() + ttl * interval '1 second'
    where instance = me and not lost
    returning 1
  )
  select exists (select from beat)
$function$;

-- Claims up to `wanted` jobs of the given lanes, in their order; a lane is read from after its position `after`. The first row, without
-- an id, has in `claimed_position` the newest position given out before the search began, or null when the lease is lost. The lock on
-- the worker's row makes sure that nobody takes the lease for run out while jobs are being claimed under it. A claim need not survive a
-- crash of the server, where the job is simply ready again: its transaction does not wait for the disk.
create function queue_claim(me text, types text[], priorities integer[], after bigint[], wanted integer)
returns table (
  id bigint, job_type text, payload jsonb, priority smallint, claimed_position bigint, attempts integer, max_attempts integer,
  fence bigint, waited float8
)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $function$
#variable_conflict use_column
declare
  newest bigint;
  ids bigint[];
  places bigint[];
begin
  perform set_config('synchronous_commit', 'off', true);
  perform from queue_workers w where w.instance = me and not w.lost for key share;
  if not found then
    return query select null::bigint, null::text, null::jsonb, null::smallint, null::bigint, null::integer, null::integer, null::bigint, null::float8;
    return;
  end if;
  select last_value into newest from queue_positions;
  select array_agg(picked.id), array_agg(picked.position) into ids, places from (
    select j.id, j.position
    from unnest(types, priorities, after) with ordinality as lane(job_type, priority, after, nth)
    cross join lateral (
      select q.id, q.position from queue_jobs q
      where q.job_type = lane.job_type and q.priority = lane.priority and q.position > lane.after
      order by q.position limit wanted for update skip locked
    ) j
    limit wanted
  ) picked;
  return query select null::bigint, null::text, null::jsonb, null::smallint, newest, null::integer, null::integer, null::bigint, null::float8;
  if ids is null then
    return;
  end if;
  return query
    update queue_jobs q set
      position = null, locked_by = me, locked_at = clock_timestamp(), updated_at = clock_timestamp(),
      attempts = q.attempts + 1, fence = q.fence + 1
    from unnest(ids, places) as picked(id, position)
    where q.id = picked.id
    returning
      q.id, q.job_type, q.payload, q.priority, picked.position, q.attempts, q.max_attempts, q.fence,
      extract(epoch from clock_timestamp() - q.available_at)::float8;
end
$function$;

-- Whether the job is still held under this fence; if so, nobody takes it away before the transaction ends. A holder that stops in the
-- middle of its transaction is disconnected after `patience` seconds.
create function queue_hold(me text, job bigint, fenced bigint, patience float8) returns boolean language plpgsql as $function$
begin
  perform set_config('idle_in_transaction_session_timeout', (patience * 1000)::integer::text, true);
  perform from queue_jobs j where j.id = job and j.fence = fenced and j.locked_by = me for update;
  return found;
end
$function$;

-- Ends jobs that are still held under their fences, and returns those.
create function queue_complete(me text, ids bigint[], fences bigint[]) returns setof bigint
language sql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $function$
  with ended as (
    delete from queue_jobs j using unnest(ids, fences) as d(id, fence)
    where j.id = d.id and j.fence = d.fence and j.locked_by = me
    returning j.*
  )
  insert into queue_finished (
    id, job_type, payload, status, priority, dedupe_key, available_at, attempts, max_attempts, fence, locked_by, locked_at,
    last_error, created_at)
  select
    id, job_type, payload, 'done', priority, dedupe_key, available_at, attempts, max_attempts, fence, locked_by, locked_at,
    null, created_at
  from ended
  returning id
$function$;

-- Takes jobs from whoever holds them, whatever the fence: each waits for its `delay`, or is dead when that is null or its attempts
-- are used up.
create function queue_set_back(ids bigint[], delays float8[], causes text[])
returns table (id bigint, job_type text, dead boolean)
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $function$
#variable_conflict use_column
begin
  return query
    with ended as (
      delete from queue_jobs j using unnest(ids, delays, causes) as d(id, delay, cause)
      where j.id = d.id and (d.delay is null or j.attempts >= j.max_attempts)
      returning j.*, d.cause
    ), kept as (
      insert into queue_finished (
        id, job_type, payload, status, priority, dedupe_key, available_at, attempts, max_attempts, fence, locked_by, locked_at,
        last_error, created_at)
      select
        e.id, e.job_type, e.payload, 'failed', e.priority, e.dedupe_key, e.available_at, e.attempts, e.max_attempts, e.fence,
        e.locked_by, e.locked_at, e.cause, e.created_at
      from ended e
      returning queue_finished.id, queue_finished.job_type
    )
    select k.id, k.job_type, true from kept k;
  return query
    update queue_jobs j set
      locked_by = null, locked_at = null, last_error = d.cause, updated_at = clock_timestamp(),
      available_at = clock_timestamp() + d.delay * interval '1 second',
      position = case when d.delay > 0 then null else nextval('queue_positions') end
    from unnest(ids, delays, causes) as d(id, delay, cause)
    where j.id = d.id
    returning j.id, j.job_type, false;
end
$function$;

-- Jobs that did not succeed; `delays`: seconds until the next attempt, null for never. Those not held under their fences any more are
-- not touched.
create function queue_fail(me text, ids bigint[], fences bigint[], delays float8[], causes text[])
returns table (id bigint, job_type text, dead boolean) language plpgsql as $function$
#variable_conflict use_column
declare
  mine bigint[];
begin
  select array_agg(held.nth) into mine from (
    select d.nth from unnest(ids, fences) with ordinality as d(id, fence, nth)
    join queue_jobs j on j.id = d.id and j.fence = d.fence and j.locked_by = me
    order by d.id for update of j
  ) held;
  return query
    select s.* from queue_set_back(
      array(select ids[n] from unnest(mine) as n), array(select delays[n] from unnest(mine) as n),
      array(select causes[n] from unnest(mine) as n)) s;
end
$function$;

-- Gives jobs back that were claimed but not run to their end, as if they had not been claimed.
create function queue_release(me text, ids bigint[], fences bigint[]) returns table (id bigint, job_type text)
language sql as $function$
  update queue_jobs j set
    locked_by = null, locked_at = null, attempts = greatest(j.attempts - 1, 0), updated_at = clock_timestamp(),
    position = nextval('queue_positions')
  from unnest(ids, fences) as d(id, fence)
  where j.id = d.id and j.fence = d.fence and j.locked_by = me
  returning j.id, j.job_type
$function$;

-- Gives what this worker still holds back, and takes it off the list.
create function queue_leave(me text) returns integer language plpgsql as $function$
declare
  given integer;
begin
  update queue_workers set lost = true where instance = me;
  select count(*) into given from queue_release(
    me, array(select j.id from queue_jobs j where j.locked_by = me order by j.id),
    array(select j.fence from queue_jobs j where j.locked_by = me order by j.id));
  delete from queue_workers where instance = me;
  return given;
end
$function$;

-- Takes the jobs of workers whose lease ran out: the attempt counts. At the first loss a job is ready at once, later it waits. A job
-- that its holder has locked in a transaction stays until that ends. One rescuer at a time.
create function queue_rescue() returns table (id bigint, job_type text, dead boolean) language plpgsql as $function$
#variable_conflict use_column
declare
  gone text[];
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
  gone := array(select w.instance from queue_workers w where w.lost);
  if cardinality(gone) = 0 then
    return;
  end if;
  select
    array_agg(held.id),
    array_agg(case when held.attempts <= 1 then 0 else least(60, 2 ^ (held.attempts - 1)) * (0.8 + 0.4 * random()) end),
    array_agg(format('worker %s stopped answering in attempt %s of %s', held.locked_by, held.attempts, held.max_attempts))
  into ids, delays, causes
  from (
    select j.id, j.attempts, j.max_attempts, j.locked_by from queue_jobs j
    where j.locked_by = any (gone) order by j.id for update skip locked
  ) held;
  return query select s.* from queue_set_back(ids, delays, causes) s;
  delete from queue_workers w
  where w.instance = any (gone) and not exists (select from queue_jobs j where j.locked_by = w.instance);
end
$function$;

-- Makes jobs ready whose time has come.
create function queue_promote(most integer) returns table (job_type text, jobs integer) language sql
set enable_seqscan = off as $function$
  with due as (
    select q.id from queue_jobs q
    where q.position is null and q.locked_by is null and q.available_at <= clock_timestamp()
    order by q.available_at limit most for update skip locked
  ), made as (
    update queue_jobs j set position = nextval('queue_positions') from due where j.id = due.id returning j.job_type
  )
  select made.job_type, count(*)::integer from made group by 1
$function$;

-- Gives dead letters another set of attempts, unless an unfinished job has their key by now. Returns those.
create function queue_revive(ids bigint[]) returns setof bigint language sql as $function$
  with dead as (
    select * from queue_finished f where f.id = any (ids) and f.status = 'failed' for update skip locked
  ), entered as (
    insert into queue_jobs (id, job_type, payload, priority, dedupe_key, position, max_attempts, fence, last_error, created_at)
    select id, job_type, payload, priority, dedupe_key, nextval('queue_positions'), max_attempts, fence, last_error, created_at
    from dead
    on conflict (job_type, dedupe_key) where dedupe_key is not null do nothing
    returning queue_jobs.id
  )
  delete from queue_finished f using entered e where f.id = e.id returning f.id
$function$;

create function queue_clean(done_hours float8, failed_hours float8, most integer) returns integer language sql as $function$
  with old as (
    select f.id from queue_finished f
    where f.finished_at < clock_timestamp() - least(done_hours, failed_hours) * interval '1 hour'
      and (f.status = 'done' and f.finished_at < clock_timestamp() - done_hours * interval '1 hour'
        or f.finished_at < clock_timestamp() - failed_hours * interval '1 hour')
    order by f.finished_at limit most for update skip locked
  ), gone as (
    delete from queue_finished f using old where f.id = old.id returning 1
  )
  select count(*)::integer from gone
$function$;
