-- An override of its series' fees can end, which is not the same as not being spoken of.
alter table events add column has_fee_override boolean;
comment on column events.has_fee_override is 'null: the exchange has not said';

-- What the catalog said before. Every change of a series, an event or a market leaves one row with the old and the new value of
-- the fields that changed, in the transaction that made it, whoever made it.
create table metadata_changes (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('series', 'event', 'market')),
  key text not null,
  changed_at timestamptz not null default clock_timestamp(),
  before jsonb not null,
  after jsonb not null
);
comment on table metadata_changes is 'quotes (rest_*) and our own bookkeeping are not kept';
comment on column metadata_changes.changed_at is 'when we learned it, this server''s clock';
comment on column metadata_changes.before is 'the old value of each field that changed; null: nothing was known';
create index metadata_changes_key on metadata_changes (kind, key, changed_at);
create index metadata_changes_at on metadata_changes (changed_at);

create function is_kept_metadata(field text) returns boolean language sql immutable parallel safe
  return field not like 'rest\_%'
    and field not in ('updated_at', 'first_seen_at', 'completion', 'completed_at', 'missing_since');

create function record_metadata_change() returns trigger language plpgsql as $function$
begin
  insert into metadata_changes (kind, key, before, after)
  select tg_argv[0], to_jsonb(new) ->> tg_argv[1], jsonb_object_agg(n.key, o.value), jsonb_object_agg(n.key, n.value)
  from jsonb_each(to_jsonb(new)) n
  join jsonb_each(to_jsonb(old)) o using (key)
  where n.value is distinct from o.value and is_kept_metadata(key)
  having count(*) > 0;
  return null;
end
$function$;

create trigger series_history after update on series for each row
  when (
    (old.title, old.frequency, old.category, old.tags, old.fee_type, old.fee_multiplier, old.contract_url, old.last_updated)
    is distinct from
    (new.title, new.frequency, new.category, new.tags, new.fee_type, new.fee_multiplier, new.contract_url, new.last_updated)
  )
  execute function record_metadata_change('series', 'ticker');

create trigger events_history after update on events for each row
  when (
    (old.series_ticker, old.title, old.sub_title, old.category, old.collateral_return_type, old.mutually_exclusive, old.strike_date,
     old.strike_period, old.strike_period_exchange, old.cadence, old.has_fee_override, old.fee_type_override, old.fee_multiplier_override,
     old.exchange_index, old.last_updated)
    is distinct from
    (new.series_ticker, new.title, new.sub_title, new.category, new.collateral_return_type, new.mutually_exclusive, new.strike_date,
     new.strike_period, new.strike_period_exchange, new.cadence, new.has_fee_override, new.fee_type_override, new.fee_multiplier_override,
     new.exchange_index, new.last_updated)
  )
  execute function record_metadata_change('event', 'event_ticker');

-- The quotes of a market change with every reading of it, what is kept hardly ever: the comparison runs before the function is called.
create trigger markets_history after update on markets for each row
  when (
    (old.event_ticker, old.market_type, old.title, old.yes_sub_title, old.no_sub_title, old.status, old.created_time,
     old.updated_time, old.open_time, old.close_time, old.expected_expiration_time, old.latest_expiration_time,
     old.determination_ts, old.settlement_ts, old.settlement_timer_seconds, old.settlement_value_dollars, old.result,
     old.expiration_value, old.can_close_early, old.strike_type, old.floor_strike, old.cap_strike, old.functional_strike,
     old.custom_strike, old.rules_primary, old.rules_secondary, old.price_level_structure, old.price_ranges, old.is_provisional,
     old.is_multivariate, old.exchange_index)
    is distinct from
    (new.event_ticker, new.market_type, new.title, new.yes_sub_title, new.no_sub_title, new.status, new.created_time,
     new.updated_time, new.open_time, new.close_time, new.expected_expiration_time, new.latest_expiration_time,
     new.determination_ts, new.settlement_ts, new.settlement_timer_seconds, new.settlement_value_dollars, new.result,
     new.expiration_value, new.can_close_early, new.strike_type, new.floor_strike, new.cap_strike, new.functional_strike,
     new.custom_strike, new.rules_primary, new.rules_secondary, new.price_level_structure, new.price_ranges, new.is_provisional,
     new.is_multivariate, new.exchange_index)
  )
  execute function record_metadata_change('market', 'ticker');

create view metadata_field_changes as
select c.kind, c.key, c.changed_at, a.key as field, c.before -> a.key as before, a.value as after, c.id
from metadata_changes c, jsonb_each(c.after) a;

-- A row of the catalog as it was: what changed since is taken back, oldest change first.
create function metadata_as_of(of_kind text, of_key text, current jsonb, at_ts timestamptz) returns jsonb
language sql stable as $function$
  select
    coalesce((select jsonb_object_agg(k.key, k.value) from jsonb_each(current) k where is_kept_metadata(k.key) or k.key = 'first_seen_at'), '{}')
    || coalesce(
      (select jsonb_object_agg(undone.key, undone.value) from (
        select distinct on (b.key) b.key, b.value
        from metadata_changes c, jsonb_each(c.before) b
        where c.kind = of_kind and c.key = of_key and c.changed_at > at_ts
        order by b.key, c.changed_at, c.id
      ) undone),
      '{}')
$function$;

-- What we knew of a market (a series, an event) at an instant of this server's clock; no row before it was first seen. Quotes are null.
create function market_as_of(of_ticker text, at_ts timestamptz) returns setof markets language sql stable as $function$
  select r.* from markets m
  cross join lateral jsonb_populate_record(null::markets, metadata_as_of('market', m.ticker, to_jsonb(m), at_ts)) r
  where m.ticker = of_ticker and m.first_seen_at <= at_ts
$function$;

create function event_as_of(of_ticker text, at_ts timestamptz) returns setof events language sql stable as $function$
  select r.* from events e
  cross join lateral jsonb_populate_record(null::events, metadata_as_of('event', e.event_ticker, to_jsonb(e), at_ts)) r
  where e.event_ticker = of_ticker and e.first_seen_at <= at_ts
$function$;

create function series_as_of(of_ticker text, at_ts timestamptz) returns setof series language sql stable as $function$
  select r.* from series s
  cross join lateral jsonb_populate_record(null::series, metadata_as_of('series', s.ticker, to_jsonb(s), at_ts)) r
  where s.ticker = of_ticker and s.first_seen_at <= at_ts
$function$;

-- The fee that holds for a market: its event's own, else its series'.
create function fees_as_of(of_ticker text, at_ts timestamptz)
returns table (fee_type text, fee_multiplier numeric, fee_source text) language sql stable as $function$
  select
    coalesce(e.fee_type_override, s.fee_type), coalesce(e.fee_multiplier_override, s.fee_multiplier),
    case when e.fee_type_override is not null or e.fee_multiplier_override is not null then 'event' else 'series' end
  from market_as_of(of_ticker, at_ts) m
  join event_as_of(m.event_ticker, at_ts) e on true
  left join series_as_of(e.series_ticker, at_ts) s on true
$function$;
