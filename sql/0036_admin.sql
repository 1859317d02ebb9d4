-- Every call that changed something, by whom. A row is entered before the call begins.
create table admin_audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  via text not null check (via in ('socket', 'port', 'command')),
  host text not null,
  service text not null,
  instance text not null,
  call text not null,
  payload jsonb not null,
  outcome text check (outcome in ('done', 'failed', 'interrupted')),
  detail text,
  ended_at timestamptz,
  check ((outcome is null) = (ended_at is null))
);
comment on column admin_audit.actor is 'who it says to be: the user of the system that ran the command; on a port, the holder of the token';
comment on column admin_audit.outcome is 'null: under way, or the program ended in it';
create index admin_audit_at on admin_audit (at);

-- Takes unfinished jobs out of the queue, as dead letters. Whoever runs one does not hold it any more: what it still writes is refused.
create function queue_cancel(ids bigint[], why text) returns setof bigint language sql as $function$
  with gone as (
    delete from queue_jobs where id = any (ids) returning *
  )
  insert into queue_finished (
    id, job_type, payload, status, priority, dedupe_key, available_at, attempts, max_attempts, fence, locked_by, locked_at,
    last_error, created_at)
  select
    id, job_type, payload, 'failed', priority, dedupe_key, available_at, attempts, max_attempts, fence + 1, locked_by, locked_at,
    why, created_at
  from gone
  returning id
$function$;

-- Deletes at most `most` jobs that are `which` (pending, done, failed), of these types (null: of all), entered or ended before `before`.
create function queue_purge(which text, types text[], before timestamptz, most integer) returns integer language plpgsql as $function$
declare
  gone integer;
begin
  if which = 'pending' then
    delete from queue_jobs where id in (
      select id from queue_jobs
      where locked_by is null and (types is null or job_type = any (types)) and created_at < before
      limit most for update skip locked);
  else
    delete from queue_finished where id in (
      select id from queue_finished
      where status = which and (types is null or job_type = any (types)) and finished_at < before
      limit most for update skip locked);
  end if;
  get diagnostics gone = row_count;
  return gone;
end
$function$;
