-- Budgets of exchange calls that all processes on this database share; kept by this server's clock.
create table rate_limit_buckets (
  key text primary key,
  tokens float8 not null,
  refilled_at timestamptz not null,
  capacity float8 not null,
  refill_rate float8 not null check (refill_rate > 0)
) with (fillfactor = 50);

comment on column rate_limit_buckets.tokens is 'below zero: already promised to callers that wait';
