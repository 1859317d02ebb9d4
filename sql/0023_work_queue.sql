-- Jobs that are not finished. `position` says that a job waits to be claimed, and where it stands in its lane (type and priority);
-- `locked_by` says that it is running; neither: it waits for `available_at`.
create sequence queue_positions;

create table queue_jobs (
  id bigint primary key,
  job_type text not null,
  payload jsonb not null,
  priority smallint not null default 5 check (priority between 0 and 9),
  dedupe_key text,
  position bigint,
  available_at timestamptz not null default clock_timestamp(),
  attempts integer not null default 0,
  max_attempts integer not null default 5 check (max_attempts > 0),
  fence bigint not null default 0,
  locked_by text,
  locked_at timestamptz,
  last_error text,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  check (position is null or locked_by is null)
) with (
  fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);
comment on column queue_jobs.priority is '0 is the most urgent, 9 the least';
comment on column queue_jobs.dedupe_key is 'one unfinished job of a type has this key';
comment on column queue_jobs.fence is 'grows with every claim: what an earlier holder still writes touches nothing';

create index queue_jobs_ready on queue_jobs (job_type, priority, position) where position is not null;
create index queue_jobs_delayed on queue_jobs (available_at) where position is null and locked_by is null;
create index queue_jobs_running on queue_jobs (locked_by) where locked_by is not null;
create unique index queue_jobs_live_key on queue_jobs (job_type, dedupe_key) where dedupe_key is not null;

-- Jobs that ended: done, or failed for good (a dead letter; last_error is the cause).
create table queue_finished (
  id bigint primary key,
  job_type text not null,
  payload jsonb not null,
  status text not null check (status in ('done', 'failed')),
  priority smallint not null,
  dedupe_key text,
  available_at timestamptz not null,
  attempts integer not null,
  max_attempts integer not null,
  fence bigint not null,
  locked_by text,
  locked_at timestamptz,
  last_error text,
  created_at timestamptz not null,
  finished_at timestamptz not null default clock_timestamp()
);
create index queue_finished_time on queue_finished (finished_at);
create index queue_finished_failed on queue_finished (job_type, finished_at) where status = 'failed';

-- Workers that are alive, by the lease they renew. One that let it run out is lost: it cannot claim or renew, and goes once its
-- jobs were given to others.
create table queue_workers (
  instance text primary key,
  host text not null,
  pid integer not null,
  job_types text[] not null,
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  lost boolean not null default false
) with (fillfactor = 20);

create view work_queue as
select
  id, job_type, payload, case when locked_by is null then 'pending' else 'running' end as status, attempts, max_attempts,
  available_at, locked_by, locked_at, last_error, created_at, updated_at, priority, dedupe_key, null::timestamptz as finished_at
from queue_jobs
union all
select
  id, job_type, payload, status, attempts, max_attempts,
  available_at, locked_by, locked_at, last_error, created_at, finished_at, priority, dedupe_key, finished_at
from queue_finished;
comment on view work_queue is 'every job: pending, running, done, failed. An insert (job_type, payload, …) enqueues';
