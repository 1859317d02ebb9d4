-- A row version is told by where it lies and which transaction made it: neither ever changes, and no other version has both.
create function row_version(lies_at tid, made_by xid) returns bigint language sql immutable strict parallel safe as $function$
  select hashtextextended(lies_at::text, made_by::text::bigint)
$function$;

-- Which versions were read, in place of a horizon: whatever transaction is open meanwhile, and however rows came and went, the partition
-- is as it was read exactly when it holds these versions. Subtransactions need no care, as they would in a snapshot.
alter table archive_datasets drop column snapshot_xmin, add column row_versions numeric;
comment on column archive_datasets.row_versions is 'sum of row_version of the rows that were read; null: an older version archived it';

create or replace function archive_changes(dataset text) returns text language plpgsql as $function$
declare
  d archive_datasets;
  stored bigint;
  versions numeric;
begin
  select * into d from archive_datasets a where a.name = dataset;
  if d.row_versions is null then
    return 'rows changed, for all that is known: it was archived by an older version';
  end if;
  execute format('select count(*), coalesce(sum(row_version(ctid, xmin)), 0) from %I', d.partition) into stored, versions;
  return case when stored <> d.rows or versions <> d.row_versions then
    format('rows changed since it was archived: %s then, %s now', d.rows, stored) end;
end
$function$;

-- How the last pass of the archive went, whichever program made it.
create table archive_last_pass (
  one boolean primary key default true check (one),
  began_at timestamptz not null,
  ended_at timestamptz not null,
  archived integer not null,
  rows bigint not null,
  bytes bigint not null,
  detached integer not null,
  waiting jsonb not null,
  problem text
);
comment on column archive_last_pass.waiting is 'what was due and is not done: partition and problem of each';
comment on column archive_last_pass.problem is 'what ended the pass early';
