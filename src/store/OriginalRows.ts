/** Rows of the Python original's database, schema version 3, with what its `raw` columns hold taken out as text. */

interface Keyed {
  /** What the row adds to the sum of the keys, a whole number. */
  readonly digest: string
}

/** The row's stamp. */
interface Stamped extends Keyed {
  /** Microseconds since 1970; null when it is infinite or outside of the years 1970 to 2199. */
  readonly micros: number | null
  /** As the server writes it. */
  readonly text: string
}

export interface OriginalEvent extends Keyed {
  readonly event_ticker: string
  readonly series_ticker: string | null
  readonly title: string | null
  readonly sub_title: string | null
  readonly category: string | null
  readonly collateral_return_type: string | null
  readonly mutually_exclusive: boolean | null
  readonly strike_date: string | null
  readonly strike_period: string | null
  readonly cadence: string | null
}

/** Instants are RFC 3339 text, numbers are exact text. */
export interface OriginalMarket extends Keyed {
  readonly ticker: string
  readonly event_ticker: string | null
  readonly market_type: string | null
  readonly title: string | null
  readonly subtitle: string | null
  readonly yes_sub_title: string | null
  readonly no_sub_title: string | null
  readonly created_time: string | null
  readonly open_time: string | null
  readonly close_time: string | null
  readonly expected_expiration_time: string | null
  readonly latest_expiration_time: string | null
  readonly settlement_timer_seconds: number | null
  readonly can_close_early: boolean | null
  readonly rules_primary: string | null
  readonly rules_secondary: string | null
  readonly price_level_structure: string | null
  /** JSON text. */
  readonly price_ranges: string | null
  readonly strike_type: string | null
  readonly floor_strike: number | null
  readonly cap_strike: number | null
  readonly functional_strike: string | null
  /** JSON text. */
  readonly custom_strike: string | null
  readonly mve_collection_ticker: string | null
  readonly settlement_value: string | null
  readonly settlement_value_dollars: string | null
  readonly settlement_ts: string | null
}

/** The message itself, or the market that a page of the original's portal had read; null where it says nothing. */
export interface SaidOfTick {
  readonly said_price_dollars: string | null
  readonly said_price: string | null
  readonly said_yes_bid_dollars: string | null
  readonly said_yes_bid: string | null
  readonly said_yes_ask_dollars: string | null
  readonly said_yes_ask: string | null
  readonly said_yes_bid_size: string | null
  readonly said_yes_ask_size: string | null
  readonly said_last_trade_size: string | null
  readonly said_volume_fp: string | null
  readonly said_volume: string | null
  readonly said_open_interest_fp: string | null
  readonly said_open_interest: string | null
  readonly said_dollar_volume: string | null
  readonly said_dollar_open_interest: string | null
  readonly said_ts: string | null
  readonly said_ts_ms: string | null
}

export interface OriginalTick extends Stamped, SaidOfTick {
  readonly id: bigint
  readonly ticker: string
  readonly price: number | null
  readonly yes_bid: number | null
  readonly yes_ask: number | null
  readonly price_dollars: string | null
  readonly yes_bid_dollars: string | null
  readonly yes_ask_dollars: string | null
  readonly volume: string | null
  readonly open_interest: string | null
  readonly dollar_volume: string | null
  readonly dollar_open_interest: string | null
  readonly implied_yes_mid: string | null
  readonly has_raw: boolean
  /** Read by REST on behalf of a page of the original's portal; `ts` is the reader's clock. */
  readonly snapshot: boolean
}

export interface OriginalLifecycle extends Stamped {
  readonly id: bigint
  readonly market_ticker: string | null
  readonly event_type: string
  readonly open_ts: string | null
  readonly close_ts: string | null
  /** The message as JSON text, exactly as the server writes it. */
  readonly raw: string | null
  /** An earlier row says the same within 5 s. */
  readonly repeated: boolean
}

export interface OriginalCandle extends Stamped {
  readonly market_ticker: string
  readonly period_interval_minutes: number
  readonly open: string | null
  readonly high: string | null
  readonly low: string | null
  readonly close: string | null
  readonly volume: string | null
  readonly open_interest: string | null
  readonly has_raw: boolean
  readonly said_price: SaidPrices | null
  readonly said_yes_bid: SaidPrices | null
  readonly said_yes_ask: SaidPrices | null
  readonly said_volume: string | null
  readonly said_open_interest: string | null
}

/** Each price twice where the exchange says it twice: in dollars, and by its old name, in cents or (historical tier) in dollars. */
export interface SaidPrices {
  readonly open_dollars: string | null
  readonly high_dollars: string | null
  readonly low_dollars: string | null
  readonly close_dollars: string | null
  readonly mean_dollars: string | null
  readonly previous_dollars: string | null
  readonly open: string | null
  readonly high: string | null
  readonly low: string | null
  readonly close: string | null
  readonly mean: string | null
  readonly previous: string | null
}

export interface OriginalRun extends Stamped {
  readonly id: bigint
  readonly event_ticker: string | null
  readonly prompt: string | null
  readonly agent: string | null
  readonly model: string | null
  readonly status: string
  readonly error: string | null
  /** JSON text. */
  readonly metadata: string | null
}

/** `run_…` is of the run that it names, null when there is none such. */
export interface OriginalForecast extends Stamped {
  readonly id: bigint
  readonly run_id: bigint | null
  readonly event_ticker: string | null
  readonly market_ticker: string | null
  readonly predicted_yes_prob: string | null
  readonly confidence: string | null
  readonly rationale: string | null
  /** JSON text. */
  readonly raw: string | null
  /** Which of the original's own handlers writes such a `raw`. */
  readonly written_by: "baseline" | "retrieval" | null
  readonly run_agent: string | null
  readonly run_model: string | null
  readonly run_status: string | null
}

/** Its stamp is when it was changed last. */
export interface OriginalDocument extends Stamped {
  readonly id: bigint
  readonly source: string | null
  readonly source_id: string | null
  readonly event_ticker: string | null
  readonly market_ticker: string | null
  readonly content: string
  /** JSON text. */
  readonly embedding: string | null
  readonly embedding_model: string | null
  /** JSON text. */
  readonly metadata: string | null
}

/** The tables that are brought over, and what is read of them. */
export const originalColumns = {
  events: [
    "event_ticker",
    "series_ticker",
    "title",
    "sub_title",
    "category",
    "mutually_exclusive",
    "collateral_return_type",
    "product_metadata",
    "strike_date",
    "strike_period"
  ],
  markets: [
    "ticker",
    "event_ticker",
    "market_type",
    "title",
    "subtitle",
    "yes_sub_title",
    "no_sub_title",
    "created_time",
    "open_time",
    "close_time",
    "expiration_time",
    "latest_expiration_time",
    "expected_expiration_time",
    "settlement_timer_seconds",
    "can_close_early",
    "rules_primary",
    "rules_secondary",
    "price_level_structure",
    "price_ranges",
    "strike_type",
    "floor_strike",
    "cap_strike",
    "functional_strike",
    "custom_strike",
    "mve_collection_ticker",
    "settlement_value",
    "settlement_value_dollars",
    "settlement_ts"
  ],
  market_ticks: [
    "id",
    "ts",
    "ticker",
    "price",
    "yes_bid",
    "yes_ask",
    "price_dollars",
    "yes_bid_dollars",
    "yes_ask_dollars",
    "volume",
    "open_interest",
    "dollar_volume",
    "dollar_open_interest",
    "implied_yes_mid",
    "raw"
  ],
  lifecycle_events: ["id", "ts", "market_ticker", "event_type", "open_ts", "close_ts", "raw"],
  market_candles: [
    "market_ticker",
    "period_interval_minutes",
    "end_period_ts",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "open_interest",
    "raw"
  ],
  prediction_runs: ["id", "event_ticker", "run_ts", "prompt", "agent", "model", "status", "error", "metadata"],
  market_predictions: [
    "id",
    "run_id",
    "event_ticker",
    "market_ticker",
    "predicted_yes_prob",
    "confidence",
    "rationale",
    "raw",
    "created_at"
  ],
  rag_documents: [
    "id",
    "source",
    "source_id",
    "event_ticker",
    "market_ticker",
    "content",
    "embedding",
    "metadata",
    "created_at",
    "updated_at"
  ]
} as const

export type OriginalTable = keyof typeof originalColumns
export const originalTables: ReadonlyArray<OriginalTable> = [
  "events",
  "markets",
  "market_ticks",
  "lifecycle_events",
  "market_candles",
  "prediction_runs",
  "market_predictions",
  "rag_documents"
]

/** Tables of the original that are not brought over, and why. */
export const leftTables = {
  active_markets: "what is open is found anew from markets",
  ingest_state: "cursors of the original's loops, which passed what they had not read; ours start anew",
  work_queue: "jobs of the original's loops",
  market_ticks_latest: "derived from ticks, made anew",
  market_candles_latest: "derived from candles",
  event_sparkline: "derived from ticks",
  portal_event_rollup: "derived for the original's portal"
} as const
