/** What can be done to the work queue, and the database's functions that do it. */
export const queueOperations = {
  enqueue: ["queue_enqueue"],
  work: [
    "queue_join",
    "queue_beat",
    "queue_claim",
    "queue_hold",
    "queue_complete",
    "queue_fail",
    "queue_release",
    "queue_leave"
  ],
  upkeep: ["queue_rescue", "queue_promote", "queue_clean"],
  retry: ["queue_revive"],
  cancel: ["queue_cancel"],
  purge: ["queue_purge"]
} as const satisfies Readonly<Record<string, ReadonlyArray<string>>>
export type QueueOperation = keyof typeof queueOperations

/** Functions that touch no table, or only what the caller may touch anyway; for every role. */
export const harmless = [
  "brier",
  "budget_day",
  "coverage_span",
  "coverage_state",
  "estimated_rows",
  "far_future",
  "far_past",
  "forecast_horizon",
  "hour_of",
  "implied_yes_mid",
  "inner_product",
  "is_kept_metadata",
  "log_loss",
  "market_is_closed",
  "market_search_words",
  "market_slot",
  "market_stage",
  "next_status",
  "partition_activity",
  "partition_bounds",
  "provenance_name",
  "received_at",
  "rfc3339",
  "row_version",
  "settled_value",
  "smallints",
  "span_ms"
] as const

/** Functions that read tables as the caller. */
export const readers = [
  "book_at",
  "book_base",
  "book_quality_at",
  "candles_from_trades",
  "compare_quote_candles",
  "compare_trade_candles",
  "coverage_hours",
  "event_as_of",
  "fees_as_of",
  "forecast_eligible",
  "gap_concerns",
  "market_as_of",
  "metadata_as_of",
  "series_as_of",
  "slots_without_gap",
  "top_of_book_at",
  "trades_complete"
] as const

/** Functions that run as the owner: a service that may call one changes its tables in this way only. */
export const asOwner = [
  "advance_market_clock",
  "archive_changes",
  "claim_forecasts",
  "coverage_compute",
  "coverage_plan",
  "detach_archived",
  "ensure_candle_partition",
  "ensure_day_partition",
  "ensure_tick_partition",
  "finish_forecast",
  "link_live",
  "link_lost",
  "narrow_gaps",
  ...Object.values(queueOperations).flat(),
  "refresh_active_markets",
  "refresh_active_quotes",
  "refresh_coverage_day",
  "refresh_event_cards",
  "reserve_call",
  "score_forecasts",
  "set_left_out",
  "sweep_waiting_lifecycle",
  "ws_heartbeat",
  "ws_leave",
  "ws_release"
] as const

/** Trigger functions, which keep the books of what others write: they run as the owner, and nobody calls them. */
export const triggers = [
  "candles_make_coverage_stale",
  "event_makes_card_stale",
  "gap_makes_coverage_stale",
  "hours_make_day_stale",
  "market_makes_card_stale",
  "market_makes_coverage_stale",
  "markets_claim_lifecycle",
  "note_capture_start",
  "ranges_make_coverage_stale",
  "record_metadata_change",
  "work_queue_insert"
] as const

/** Functions that only the owner calls: parts of others, and the importer's. */
export const ownersOnly = [
  "claim_waiting_lifecycle",
  "count_event_cards",
  "ensure_partition",
  "import_instant",
  "import_settlement",
  "queue_set_back",
  "refresh_event_quotes",
  "roll_up_ticks"
] as const
