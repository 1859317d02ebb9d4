-- Generated from src/runtime/Access.ts by `npm run env`: do not edit. Applied by `node dist/migrator.js roles`, and again with every
-- migration once it was. One transaction: psql --single-transaction -f sql/roles.sql

do $roles$
declare
  wanted text;
  thing record;
begin
  -- Groups nobody logs in as; a program's user is a member of one.
  foreach wanted in array array['kalshi_owner', 'kalshi_rest', 'kalshi_ws', 'kalshi_worker', 'kalshi_predictor', 'kalshi_portal', 'kalshi_admin', 'kalshi_reader'] loop
    begin
      if not exists (select from pg_roles where rolname = wanted) then
        execute format('create role %I nologin', wanted);
      end if;
    exception when duplicate_object or unique_violation then
      null;
    end;
  end loop;
  if not pg_has_role(current_user, 'kalshi_owner', 'usage') then
    execute format('grant kalshi_owner to %I', current_user);
  end if;

  if not has_schema_privilege('kalshi_owner', 'public', 'create') then
    grant usage, create on schema public to kalshi_owner;
  end if;
  revoke create on schema public from public;
  execute format('revoke create, temporary on database %I from public', current_database());
  execute format('grant connect on database %I to kalshi_rest, kalshi_ws, kalshi_worker, kalshi_predictor, kalshi_portal, kalshi_admin, kalshi_reader', current_database());

  -- What is ours belongs to the owner, partitions with it: nobody else can change or drop it.
  for thing in
    select c.oid::regclass as name, case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end as kind
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relowner <> 'kalshi_owner'::regrole and c.relkind in ('r', 'p', 'v', 'S')
      and (c.relname = any (array[
  'active_markets', 'admin_audit', 'api_tokens', 'archive_datasets', 'archive_lake', 'archive_last_pass', 'book_events',
  'book_events_default', 'book_snapshots', 'book_snapshots_default', 'candle_ranges', 'capture_gaps', 'capture_starts',
  'consistency_checks', 'coverage', 'coverage_by_day', 'coverage_days', 'coverage_days_stale', 'coverage_frontiers',
  'coverage_heard', 'coverage_progress', 'coverage_stale', 'event_cards', 'event_cards_stale', 'event_counts',
  'event_leader_latest', 'event_outcomes_latest', 'event_quotes', 'event_quotes_refreshed', 'events', 'forecast_budget',
  'forecast_leaderboard', 'forecast_schedule', 'forecast_scores', 'gap_repairs', 'import_faults', 'import_progress',
  'import_ranges', 'import_runs', 'import_sources', 'ingest_state', 'journal_fences', 'journal_positions', 'lifecycle_events',
  'lifecycle_waiting', 'market_candles', 'market_candles_default', 'market_coverage', 'market_keys', 'market_predictions',
  'market_quotes', 'market_tick_frames', 'market_tick_minutes', 'market_ticks', 'market_ticks_latest', 'market_trades',
  'markets', 'metadata_changes', 'metadata_field_changes', 'orderbook_events', 'orderbook_snapshots', 'portal_login_attempts',
  'portal_sessions', 'portal_sessions_ended', 'prediction_runs', 'prediction_scores', 'quarantine', 'queue_finished',
  'queue_jobs', 'queue_workers', 'rag_documents', 'rate_limit_buckets', 'schema_version', 'series', 'service_instances',
  'shard_leases', 'slot_feeds', 'tick_frames', 'tick_frames_default', 'tick_minutes', 'ticks', 'ticks_default',
  'ticks_latest', 'trade_windows', 'trades', 'trades_default', 'work_queue', 'ws_members'
      ]) or c.relname = 'queue_positions' or exists (
        select from pg_inherits i join pg_class p on p.oid = i.inhparent
        where i.inhrelid = c.oid and p.relname in ('ticks', 'tick_frames', 'trades', 'book_events', 'book_snapshots', 'market_candles')))
  loop
    execute format('alter %s %s owner to kalshi_owner', thing.kind, thing.name);
  end loop;
  for thing in
    select p.oid::regprocedure as name from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proowner <> 'kalshi_owner'::regrole and p.proname = any (array[
  'advance_market_clock', 'archive_changes', 'book_at', 'book_base', 'book_quality_at', 'brier', 'budget_day',
  'candles_from_trades', 'candles_make_coverage_stale', 'claim_forecasts', 'claim_waiting_lifecycle', 'compare_quote_candles',
  'compare_trade_candles', 'count_event_cards', 'coverage_compute', 'coverage_hours', 'coverage_plan', 'coverage_span',
  'coverage_state', 'detach_archived', 'ensure_candle_partition', 'ensure_day_partition', 'ensure_partition',
  'ensure_tick_partition', 'estimated_rows', 'event_as_of', 'event_makes_card_stale', 'far_future', 'far_past', 'fees_as_of',
  'finish_forecast', 'forecast_eligible', 'forecast_horizon', 'gap_concerns', 'gap_makes_coverage_stale', 'hour_of',
  'hours_make_day_stale', 'implied_yes_mid', 'import_instant', 'import_settlement', 'inner_product', 'is_kept_metadata',
  'link_live', 'link_lost', 'log_loss', 'market_as_of', 'market_is_closed', 'market_makes_card_stale',
  'market_makes_coverage_stale', 'market_search_words', 'market_slot', 'market_stage', 'markets_claim_lifecycle',
  'metadata_as_of', 'narrow_gaps', 'next_status', 'note_capture_start', 'partition_activity', 'partition_bounds',
  'provenance_name', 'queue_beat', 'queue_cancel', 'queue_claim', 'queue_clean', 'queue_complete', 'queue_enqueue',
  'queue_fail', 'queue_hold', 'queue_join', 'queue_leave', 'queue_promote', 'queue_purge', 'queue_release', 'queue_rescue',
  'queue_revive', 'queue_set_back', 'ranges_make_coverage_stale', 'received_at', 'record_metadata_change',
  'refresh_active_markets', 'refresh_active_quotes', 'refresh_coverage_day', 'refresh_event_cards', 'refresh_event_quotes',
  'reserve_call', 'rfc3339', 'roll_up_ticks', 'row_version', 'score_forecasts', 'series_as_of', 'set_left_out',
  'settled_value', 'slots_without_gap', 'smallints', 'span_ms', 'sweep_waiting_lifecycle', 'top_of_book_at',
  'trades_complete', 'work_queue_insert', 'ws_heartbeat', 'ws_leave', 'ws_release'
    ])
  loop
    execute format('alter function %s owner to kalshi_owner', thing.name);
  end loop;
end
$roles$;

grant usage on schema public to kalshi_rest, kalshi_ws, kalshi_worker, kalshi_predictor, kalshi_portal, kalshi_admin, kalshi_reader;

-- Nothing, to begin with.
revoke all on
  active_markets, admin_audit, api_tokens, archive_datasets, archive_lake, archive_last_pass, book_events,
  book_events_default, book_snapshots, book_snapshots_default, candle_ranges, capture_gaps, capture_starts,
  consistency_checks, coverage, coverage_by_day, coverage_days, coverage_days_stale, coverage_frontiers, coverage_heard,
  coverage_progress, coverage_stale, event_cards, event_cards_stale, event_counts, event_leader_latest, event_outcomes_latest,
  event_quotes, event_quotes_refreshed, events, forecast_budget, forecast_leaderboard, forecast_schedule, forecast_scores,
  gap_repairs, import_faults, import_progress, import_ranges, import_runs, import_sources, ingest_state, journal_fences,
  journal_positions, lifecycle_events, lifecycle_waiting, market_candles, market_candles_default, market_coverage,
  market_keys, market_predictions, market_quotes, market_tick_frames, market_tick_minutes, market_ticks, market_ticks_latest,
  market_trades, markets, metadata_changes, metadata_field_changes, orderbook_events, orderbook_snapshots,
  portal_login_attempts, portal_sessions, portal_sessions_ended, prediction_runs, prediction_scores, quarantine,
  queue_finished, queue_jobs, queue_workers, rag_documents, rate_limit_buckets, schema_version, series, service_instances,
  shard_leases, slot_feeds, tick_frames, tick_frames_default, tick_minutes, ticks, ticks_default, ticks_latest, trade_windows,
  trades, trades_default, work_queue, ws_members
from public, kalshi_rest, kalshi_ws, kalshi_worker, kalshi_predictor, kalshi_portal, kalshi_admin, kalshi_reader;
revoke all on sequence queue_positions from public, kalshi_rest, kalshi_ws, kalshi_worker, kalshi_predictor, kalshi_portal, kalshi_admin, kalshi_reader;
revoke all on function
  advance_market_clock, archive_changes, book_at, book_base, book_quality_at, brier, budget_day, candles_from_trades,
  candles_make_coverage_stale, claim_forecasts, claim_waiting_lifecycle, compare_quote_candles, compare_trade_candles,
  count_event_cards, coverage_compute, coverage_hours, coverage_plan, coverage_span, coverage_state, detach_archived,
  ensure_candle_partition, ensure_day_partition, ensure_partition, ensure_tick_partition, estimated_rows, event_as_of,
  event_makes_card_stale, far_future, far_past, fees_as_of, finish_forecast, forecast_eligible, forecast_horizon,
  gap_concerns, gap_makes_coverage_stale, hour_of, hours_make_day_stale, implied_yes_mid, import_instant, import_settlement,
  inner_product, is_kept_metadata, link_live, link_lost, log_loss, market_as_of, market_is_closed, market_makes_card_stale,
  market_makes_coverage_stale, market_search_words, market_slot, market_stage, markets_claim_lifecycle, metadata_as_of,
  narrow_gaps, next_status, note_capture_start, partition_activity, partition_bounds, provenance_name, queue_beat,
  queue_cancel, queue_claim, queue_clean, queue_complete, queue_enqueue, queue_fail, queue_hold, queue_join, queue_leave,
  queue_promote, queue_purge, queue_release, queue_rescue, queue_revive, queue_set_back, ranges_make_coverage_stale,
  received_at, record_metadata_change, refresh_active_markets, refresh_active_quotes, refresh_coverage_day,
  refresh_event_cards, refresh_event_quotes, reserve_call, rfc3339, roll_up_ticks, row_version, score_forecasts, series_as_of,
  set_left_out, settled_value, slots_without_gap, smallints, span_ms, sweep_waiting_lifecycle, top_of_book_at,
  trades_complete, work_queue_insert, ws_heartbeat, ws_leave, ws_release
from public, kalshi_rest, kalshi_ws, kalshi_worker, kalshi_predictor, kalshi_portal, kalshi_admin, kalshi_reader;

-- These run as the owner, in a schema where nobody else can put a table or a function of the same name.
alter function advance_market_clock security definer set search_path = public, pg_temp;
alter function archive_changes security definer set search_path = public, pg_temp;
alter function candles_make_coverage_stale security definer set search_path = public, pg_temp;
alter function claim_forecasts security definer set search_path = public, pg_temp;
alter function coverage_compute security definer set search_path = public, pg_temp;
alter function coverage_plan security definer set search_path = public, pg_temp;
alter function detach_archived security definer set search_path = public, pg_temp;
alter function ensure_candle_partition security definer set search_path = public, pg_temp;
alter function ensure_day_partition security definer set search_path = public, pg_temp;
alter function ensure_tick_partition security definer set search_path = public, pg_temp;
alter function event_makes_card_stale security definer set search_path = public, pg_temp;
alter function finish_forecast security definer set search_path = public, pg_temp;
alter function gap_makes_coverage_stale security definer set search_path = public, pg_temp;
alter function hours_make_day_stale security definer set search_path = public, pg_temp;
alter function link_live security definer set search_path = public, pg_temp;
alter function link_lost security definer set search_path = public, pg_temp;
alter function market_makes_card_stale security definer set search_path = public, pg_temp;
alter function market_makes_coverage_stale security definer set search_path = public, pg_temp;
alter function markets_claim_lifecycle security definer set search_path = public, pg_temp;
alter function narrow_gaps security definer set search_path = public, pg_temp;
alter function note_capture_start security definer set search_path = public, pg_temp;
alter function queue_beat security definer set search_path = public, pg_temp;
alter function queue_cancel security definer set search_path = public, pg_temp;
alter function queue_claim security definer set search_path = public, pg_temp;
alter function queue_clean security definer set search_path = public, pg_temp;
alter function queue_complete security definer set search_path = public, pg_temp;
alter function queue_enqueue security definer set search_path = public, pg_temp;
alter function queue_fail security definer set search_path = public, pg_temp;
alter function queue_hold security definer set search_path = public, pg_temp;
alter function queue_join security definer set search_path = public, pg_temp;
alter function queue_leave security definer set search_path = public, pg_temp;
alter function queue_promote security definer set search_path = public, pg_temp;
alter function queue_purge security definer set search_path = public, pg_temp;
alter function queue_release security definer set search_path = public, pg_temp;
alter function queue_rescue security definer set search_path = public, pg_temp;
alter function queue_revive security definer set search_path = public, pg_temp;
alter function ranges_make_coverage_stale security definer set search_path = public, pg_temp;
alter function record_metadata_change security definer set search_path = public, pg_temp;
alter function refresh_active_markets security definer set search_path = public, pg_temp;
alter function refresh_active_quotes security definer set search_path = public, pg_temp;
alter function refresh_coverage_day security definer set search_path = public, pg_temp;
alter function refresh_event_cards security definer set search_path = public, pg_temp;
alter function reserve_call security definer set search_path = public, pg_temp;
alter function score_forecasts security definer set search_path = public, pg_temp;
alter function set_left_out security definer set search_path = public, pg_temp;
alter function sweep_waiting_lifecycle security definer set search_path = public, pg_temp;
alter function work_queue_insert security definer set search_path = public, pg_temp;
alter function ws_heartbeat security definer set search_path = public, pg_temp;
alter function ws_leave security definer set search_path = public, pg_temp;
alter function ws_release security definer set search_path = public, pg_temp;

-- rest: discovery, backfill, repairs, the market clock
grant select on
  archive_lake, book_events, book_events_default, book_snapshots, book_snapshots_default, capture_gaps, capture_starts,
  coverage_heard, coverage_progress, journal_positions, market_candles_default, market_coverage, quarantine, queue_finished,
  queue_jobs, schema_version, slot_feeds, tick_frames_default, ticks, ticks_default, ticks_latest, trades_default, work_queue
to kalshi_rest;
grant select, insert on
  admin_audit, consistency_checks, market_keys
to kalshi_rest;
grant select, insert, update on
  archive_datasets, archive_last_pass, events, market_candles, markets, rate_limit_buckets, series, trade_windows, trades
to kalshi_rest;
grant select, insert, update, delete on
  candle_ranges, gap_repairs, ingest_state, service_instances
to kalshi_rest;
grant select, delete on
  active_markets
to kalshi_rest;
grant update (outcome, detail, ended_at) on admin_audit to kalshi_rest;
grant update (repaired_by, repaired_at) on capture_gaps to kalshi_rest;
grant execute on function
  advance_market_clock, archive_changes, book_at, book_base, book_quality_at, brier, budget_day, candles_from_trades,
  compare_quote_candles, compare_trade_candles, coverage_compute, coverage_hours, coverage_plan, coverage_span,
  coverage_state, detach_archived, ensure_candle_partition, ensure_day_partition, estimated_rows, far_future, far_past,
  forecast_horizon, gap_concerns, hour_of, implied_yes_mid, inner_product, is_kept_metadata, log_loss, market_is_closed,
  market_search_words, market_slot, market_stage, next_status, partition_activity, partition_bounds, provenance_name,
  queue_cancel, queue_enqueue, queue_purge, queue_revive, received_at, refresh_active_markets, rfc3339, row_version,
  settled_value, smallints, span_ms, sweep_waiting_lifecycle, trades_complete
to kalshi_rest;

-- ws: live capture: ticks, trades, books, the lifecycle, the ledger of gaps
grant insert on
  admin_audit
to kalshi_ws;
grant select on
  active_markets, markets, schema_version, series, slot_feeds
to kalshi_ws;
grant select, insert on
  capture_gaps, journal_fences, market_keys
to kalshi_ws;
grant select, insert, delete on
  book_events, book_snapshots, lifecycle_events, lifecycle_waiting, tick_frames, ticks
to kalshi_ws;
grant select, insert, update on
  events, journal_positions, ticks_latest, trades
to kalshi_ws;
grant select, insert, update, delete on
  quarantine, service_instances
to kalshi_ws;
grant select (id) on admin_audit to kalshi_ws;
grant update (outcome, detail, ended_at) on admin_audit to kalshi_ws;
do $roles$
declare
  granted text;
begin
  select string_agg(quote_ident(attname), ', ' order by attnum) into granted from pg_attribute
  where attrelid = 'markets'::regclass and attnum > 0 and not attisdropped and attname not in ('completion', 'completed_at', 'missing_since');
  execute format('grant insert (%1$s), update (%1$s) on markets to kalshi_ws', granted);
end
$roles$;
grant execute on function
  advance_market_clock, brier, budget_day, coverage_span, coverage_state, ensure_candle_partition, ensure_day_partition,
  estimated_rows, far_future, far_past, forecast_horizon, hour_of, implied_yes_mid, inner_product, is_kept_metadata,
  link_live, link_lost, log_loss, market_is_closed, market_search_words, market_slot, market_stage, narrow_gaps, next_status,
  partition_activity, partition_bounds, provenance_name, received_at, refresh_active_markets, rfc3339, row_version,
  set_left_out, settled_value, smallints, span_ms, ws_heartbeat, ws_leave, ws_release
to kalshi_ws;

-- worker: jobs of the work queue: the heavy pulls of history
grant insert on
  admin_audit
to kalshi_worker;
grant select on
  archive_lake, book_events, book_snapshots, capture_gaps, market_coverage, queue_finished, queue_jobs, queue_workers,
  schema_version, ticks
to kalshi_worker;
grant select, insert on
  market_keys
to kalshi_worker;
grant select, insert, update on
  archive_datasets, archive_last_pass, events, market_candles, markets, rate_limit_buckets, series, trade_windows, trades
to kalshi_worker;
grant select, insert, update, delete on
  candle_ranges, ingest_state, service_instances
to kalshi_worker;
grant select (id) on admin_audit to kalshi_worker;
grant update (outcome, detail, ended_at) on admin_audit to kalshi_worker;
grant execute on function
  archive_changes, brier, budget_day, coverage_span, coverage_state, detach_archived, ensure_candle_partition,
  ensure_day_partition, estimated_rows, far_future, far_past, forecast_horizon, hour_of, implied_yes_mid, inner_product,
  is_kept_metadata, log_loss, market_is_closed, market_search_words, market_slot, market_stage, next_status,
  partition_activity, partition_bounds, provenance_name, queue_beat, queue_claim, queue_clean, queue_complete, queue_fail,
  queue_hold, queue_join, queue_leave, queue_promote, queue_release, queue_rescue, received_at, rfc3339, row_version,
  settled_value, smallints, span_ms, trades_complete
to kalshi_worker;

-- predictor: forecasts, their scores, the documents they are given
grant insert on
  admin_audit
to kalshi_predictor;
grant select on
  events, forecast_leaderboard, forecast_scores, market_candles, market_keys, markets, schema_version, series, ticks
to kalshi_predictor;
grant select, insert on
  market_predictions
to kalshi_predictor;
grant select, insert, update on
  prediction_runs, rag_documents
to kalshi_predictor;
grant select, insert, update, delete on
  service_instances
to kalshi_predictor;
grant select, update on
  forecast_budget
to kalshi_predictor;
grant select, update, delete on
  forecast_schedule
to kalshi_predictor;
grant select (id) on admin_audit to kalshi_predictor;
grant update (outcome, detail, ended_at) on admin_audit to kalshi_predictor;
grant execute on function
  brier, budget_day, claim_forecasts, coverage_span, coverage_state, estimated_rows, far_future, far_past, finish_forecast,
  forecast_eligible, forecast_horizon, hour_of, implied_yes_mid, inner_product, is_kept_metadata, log_loss, market_is_closed,
  market_search_words, market_slot, market_stage, next_status, partition_activity, partition_bounds, provenance_name,
  received_at, reserve_call, rfc3339, row_version, score_forecasts, settled_value, smallints, span_ms
to kalshi_predictor;

-- portal: pages and API for people; reads, and keeps its own lists up to date
grant insert on
  admin_audit
to kalshi_portal;
grant select on
  active_markets, archive_datasets, archive_last_pass, book_events, book_snapshots, candle_ranges, capture_gaps,
  capture_starts, consistency_checks, coverage, coverage_by_day, coverage_days, coverage_progress, event_cards,
  event_cards_stale, event_counts, event_leader_latest, event_outcomes_latest, event_quotes, events, forecast_leaderboard,
  forecast_scores, gap_repairs, ingest_state, journal_positions, lifecycle_events, market_candles, market_coverage,
  market_keys, market_predictions, market_quotes, market_tick_frames, market_tick_minutes, market_ticks, market_ticks_latest,
  market_trades, markets, metadata_changes, metadata_field_changes, orderbook_events, orderbook_snapshots, prediction_runs,
  prediction_scores, quarantine, queue_finished, queue_jobs, queue_workers, schema_version, series, slot_feeds, tick_minutes,
  ticks, ticks_latest, trade_windows, trades, work_queue
to kalshi_portal;
grant select, insert, delete on
  portal_sessions_ended
to kalshi_portal;
grant select, insert, update on
  api_tokens, rate_limit_buckets
to kalshi_portal;
grant select, insert, update, delete on
  portal_login_attempts, service_instances
to kalshi_portal;
grant select, update on
  portal_sessions
to kalshi_portal;
grant select (id) on admin_audit to kalshi_portal;
grant update (outcome, detail, ended_at) on admin_audit to kalshi_portal;
grant update (rest_price_dollars, rest_yes_bid_dollars, rest_yes_ask_dollars, rest_yes_bid_size, rest_yes_ask_size, rest_volume, rest_volume_24h, rest_open_interest, rest_quote_at, updated_at) on markets to kalshi_portal;
grant execute on function
  book_at, book_base, book_quality_at, brier, budget_day, coverage_span, coverage_state, estimated_rows, far_future, far_past,
  forecast_horizon, gap_concerns, hour_of, implied_yes_mid, inner_product, is_kept_metadata, log_loss, market_is_closed,
  market_search_words, market_slot, market_stage, next_status, partition_activity, partition_bounds, provenance_name,
  queue_enqueue, queue_revive, received_at, refresh_active_quotes, refresh_coverage_day, refresh_event_cards, rfc3339,
  row_version, settled_value, smallints, span_ms
to kalshi_portal;

-- admin: an operator's commands: looks at everything but secrets, mends what loops left behind
grant select on
  active_markets, archive_lake, book_events, book_events_default, book_snapshots, book_snapshots_default, candle_ranges,
  capture_gaps, capture_starts, consistency_checks, coverage, coverage_by_day, coverage_days, coverage_frontiers,
  coverage_heard, coverage_progress, coverage_stale, event_cards, event_cards_stale, event_counts, event_leader_latest,
  event_outcomes_latest, event_quotes, events, forecast_budget, forecast_leaderboard, forecast_schedule, forecast_scores,
  import_faults, import_progress, import_ranges, import_runs, import_sources, journal_fences, journal_positions,
  lifecycle_events, lifecycle_waiting, market_candles, market_candles_default, market_coverage, market_keys,
  market_predictions, market_quotes, market_tick_frames, market_tick_minutes, market_ticks, market_ticks_latest,
  market_trades, markets, metadata_changes, metadata_field_changes, orderbook_events, orderbook_snapshots,
  portal_sessions_ended, prediction_runs, prediction_scores, queue_workers, rag_documents, rate_limit_buckets, schema_version,
  series, shard_leases, slot_feeds, tick_frames, tick_frames_default, tick_minutes, ticks, ticks_default, ticks_latest,
  trade_windows, trades, trades_default, ws_members
to kalshi_admin;
grant select, insert on
  admin_audit, work_queue
to kalshi_admin;
grant select, insert, update on
  archive_datasets, archive_last_pass
to kalshi_admin;
grant select, insert, update, delete on
  gap_repairs, ingest_state, queue_finished, queue_jobs, service_instances
to kalshi_admin;
grant select, delete on
  portal_login_attempts
to kalshi_admin;
grant select, update on
  portal_sessions
to kalshi_admin;
grant select, update, delete on
  quarantine
to kalshi_admin;
grant update (outcome, detail, ended_at) on admin_audit to kalshi_admin;
grant select (id, name, created_at, expires_at, revoked_at, last_used_at) on api_tokens to kalshi_admin;
grant update (revoked_at) on api_tokens to kalshi_admin;
grant execute on function
  archive_changes, book_at, book_base, book_quality_at, brier, budget_day, candles_from_trades, compare_quote_candles,
  compare_trade_candles, coverage_compute, coverage_hours, coverage_plan, coverage_span, coverage_state, detach_archived,
  ensure_candle_partition, ensure_day_partition, estimated_rows, event_as_of, far_future, far_past, fees_as_of,
  forecast_eligible, forecast_horizon, gap_concerns, hour_of, implied_yes_mid, inner_product, is_kept_metadata, log_loss,
  market_as_of, market_is_closed, market_search_words, market_slot, market_stage, metadata_as_of, next_status,
  partition_activity, partition_bounds, provenance_name, queue_cancel, queue_clean, queue_enqueue, queue_promote, queue_purge,
  queue_rescue, queue_revive, received_at, rfc3339, row_version, series_as_of, settled_value, slots_without_gap, smallints,
  span_ms, top_of_book_at, trades_complete
to kalshi_admin;

-- reader: export, replay and notebooks: reads the record, writes nothing
grant select on
  active_markets, archive_datasets, book_events, book_snapshots, capture_gaps, capture_starts, coverage, coverage_by_day,
  coverage_days, coverage_progress, event_cards, event_counts, event_leader_latest, event_outcomes_latest, event_quotes,
  events, forecast_leaderboard, forecast_scores, lifecycle_events, market_candles, market_coverage, market_keys,
  market_predictions, market_quotes, market_tick_frames, market_tick_minutes, market_ticks, market_ticks_latest,
  market_trades, markets, metadata_changes, metadata_field_changes, orderbook_events, orderbook_snapshots, prediction_scores,
  schema_version, series, tick_minutes, ticks, ticks_latest, trades
to kalshi_reader;
grant execute on function
  book_at, book_base, book_quality_at, brier, budget_day, candles_from_trades, coverage_span, coverage_state, estimated_rows,
  event_as_of, far_future, far_past, fees_as_of, forecast_horizon, gap_concerns, hour_of, implied_yes_mid, inner_product,
  is_kept_metadata, log_loss, market_as_of, market_is_closed, market_search_words, market_slot, market_stage, metadata_as_of,
  next_status, partition_activity, partition_bounds, provenance_name, received_at, rfc3339, row_version, series_as_of,
  settled_value, smallints, span_ms, top_of_book_at
to kalshi_reader;

-- A cursor is moved by the loop that it belongs to.
do $roles$
begin
  if not (select relrowsecurity from pg_class where oid = 'ingest_state'::regclass) then
    alter table ingest_state enable row level security;
  end if;
end
$roles$;
drop policy if exists everybody_reads on ingest_state;
create policy everybody_reads on ingest_state for select to kalshi_rest, kalshi_ws, kalshi_worker, kalshi_predictor, kalshi_portal, kalshi_admin, kalshi_reader using (true);
drop policy if exists rest_writes on ingest_state;
create policy rest_writes on ingest_state to kalshi_rest using (key in ('discovery_updated_until', 'discovery_full_at', 'discovery_series_until', 'backfill_closed_until', 'backfill_force_full')) with check (key in ('discovery_updated_until', 'discovery_full_at', 'discovery_series_until', 'backfill_closed_until', 'backfill_force_full'));
drop policy if exists ws_writes on ingest_state;
drop policy if exists worker_writes on ingest_state;
create policy worker_writes on ingest_state to kalshi_worker using (key in ('discovery_series_until')) with check (key in ('discovery_series_until'));
drop policy if exists predictor_writes on ingest_state;
drop policy if exists portal_writes on ingest_state;
drop policy if exists admin_writes on ingest_state;
create policy admin_writes on ingest_state to kalshi_admin using (key in ('backfill_force_full')) with check (key in ('backfill_force_full'));
drop policy if exists reader_writes on ingest_state;
