create index capture_gaps_unrepaired on capture_gaps (id) where to_ts is not null and repaired_at is null;

-- Closed gaps that could not be healed yet: when they are tried again, and why they were not.
create table gap_repairs (
  gap_id bigint primary key references capture_gaps (id) on delete cascade,
  failures integer not null,
  next_at timestamptz not null,
  problem text not null,
  updated_at timestamptz not null default clock_timestamp()
);
