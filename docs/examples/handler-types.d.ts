/** What `PREDICTION_HANDLER=./my-handler.js#predictEvent` is given and gives back. Instants are RFC 3339 in UTC, dollars are exact text. */
export interface PredictedEvent {
  readonly event_ticker: string
  readonly series_ticker: string | null
  readonly title: string | null
  readonly sub_title: string | null
  readonly category: string | null
  /** `hour` or `day`. */
  readonly strike_period: string | null
  readonly strike_date: string | null
  /** At most one of its markets settles YES. */
  readonly mutually_exclusive: boolean
}

/** A market of the event that trades now. */
export interface PredictedMarket {
  readonly ticker: string
  readonly title: string | null
  readonly yes_sub_title: string | null
  readonly rules_primary: string | null
  readonly open_time: string | null
  readonly close_time: string
  /** `greater`, `less`, `between`, … */
  readonly strike_type: string | null
  readonly floor_strike: string | null
  readonly cap_strike: string | null
  readonly volume: string | null
  readonly open_interest: string | null
  /** The instant of the newest quote, and the quote: 0 to 1 dollar. Null without one. */
  readonly quote_ts: string | null
  readonly yes_bid_dollars: string | null
  readonly yes_ask_dollars: string | null
  readonly price_dollars: string | null
  /** Null when a side of the book is empty. */
  readonly implied_yes_mid: string | null
}

export interface PredictionContext {
  /** The instant the forecast is about. */
  readonly now: string
  /** Pieces of stored documents, the nearest first; at most PREDICTION_CONTEXT_DOCS. */
  readonly documents: ReadonlyArray<{
    readonly id: number
    readonly source: string
    readonly title: string | null
    readonly published_at: string | null
    readonly content: string
    readonly score: number
  }>
}

export interface Prediction {
  readonly market_ticker: string
  /** The probability of YES, 0 to 1, both included. */
  readonly yes_prob: number
  readonly confidence?: number | null
  readonly rationale?: string | null
  /** JSON of at most 64 KiB that is kept with the forecast. */
  readonly raw?: unknown
}

/** Markets that the answer leaves out have no forecast. An answer with one wrong entry is refused as a whole. */
export type PredictEvent = (
  event: PredictedEvent,
  markets: ReadonlyArray<PredictedMarket>,
  context: PredictionContext,
  /** The text of PREDICTION_PROMPT_PATH. */
  prompt: string
) => ReadonlyArray<Prediction> | Promise<ReadonlyArray<Prediction>>
