import { harmless, type QueueOperation, queueOperations, readers } from "./AccessFunctions.ts"

/** The programs that write to or read from the database each as a role of its own; the migrator is the owner. */
export const roleNames = ["rest", "ws", "worker", "predictor", "portal", "admin", "reader"] as const
export type RoleName = (typeof roleNames)[number]

/** The group role in PostgreSQL. */
export const groupOf = (role: RoleName | "owner"): string => `kalshi_${role}`

/** Who writes each key of `ingest_state`; everybody may read all of them. */
export const ingestKeys = {
  discovery_updated_until: ["rest"],
  discovery_full_at: ["rest"],
  discovery_series_until: ["rest", "worker"],
  backfill_closed_until: ["rest"],
  backfill_force_full: ["rest", "admin"]
} as const satisfies Readonly<Record<string, ReadonlyArray<RoleName>>>
export type IngestKey = keyof typeof ingestKeys

/** Settings that only some programs may be given. A prefix stands for every name that begins with it. */
export const secrets = {
  exchange: { about: "the key of the exchange", names: ["KALSHI_API_KEY_ID"], prefixes: ["KALSHI_PRIVATE_KEY"] },
  model: {
    about: "credentials of models",
    names: [
      "PREDICTION_LLM_API_KEY",
      "OPENAI_API_KEY",
      "AZURE_OPENAI_API_KEY",
      "RAG_EMBEDDING_API_KEY",
      "ANTHROPIC_API_KEY",
      "GEMINI_API_KEY",
      "GOOGLE_API_KEY",
      "MISTRAL_API_KEY",
      "HF_TOKEN"
    ],
    prefixes: []
  },
  portal: {
    about: "password and secret of the portal",
    names: ["WEB_PORTAL_PASSWORD", "WEB_PORTAL_SECRET_KEY"],
    prefixes: []
  },
  broker: { about: "the address of the broker", names: ["RABBITMQ_URL"], prefixes: [] },
  logins: { about: "other programs' logins to databases", names: ["IMPORT_FROM"], prefixes: ["DATABASE_URL_"] }
} as const satisfies Readonly<
  Record<
    string,
    { readonly about: string; readonly names: ReadonlyArray<string>; readonly prefixes: ReadonlyArray<string> }
  >
>
export type SecretKind = keyof typeof secrets

/** Letters are PostgreSQL's own: r select, a insert, w update, d delete. */
export interface Access {
  readonly about: string
  readonly secrets: ReadonlyArray<SecretKind>
  readonly queue: ReadonlyArray<QueueOperation>
  /** Tables and views. */
  readonly tables: Readonly<Record<string, string>>
  /** Where only some columns are granted. */
  readonly columns?: Readonly<Record<string, Readonly<Record<"r" | "w", ReadonlyArray<string>>>>>
  /** Columns that the insert and update of a table do not extend to. */
  readonly withheld?: Readonly<Record<string, ReadonlyArray<string>>>
  /** Beside those of the queue operations and `harmless`. */
  readonly functions: ReadonlyArray<string>
}

/** Tables that no program touches but through functions and triggers, or that only the migrator uses. */
export const ownersTables = ["coverage_days_stale", "event_quotes_refreshed"] as const

const partitions = ["ensure_candle_partition", "ensure_day_partition"]
/** Every program says that it lives, and enters the admin calls that were made of it. */
const signOfLife = { admin_audit: "a", schema_version: "r", service_instances: "rawd" }
const audited = { admin_audit: { r: ["id"], w: ["outcome", "detail", "ended_at"] } }
const book = ["book_at", "book_base", "book_quality_at", "gap_concerns"]

/** What was recorded and follows from it. */
const record = {
  active_markets: "r",
  archive_datasets: "r",
  book_events: "r",
  book_snapshots: "r",
  capture_gaps: "r",
  capture_starts: "r",
  coverage: "r",
  coverage_by_day: "r",
  coverage_days: "r",
  coverage_progress: "r",
  event_cards: "r",
  event_counts: "r",
  event_leader_latest: "r",
  event_outcomes_latest: "r",
  event_quotes: "r",
  events: "r",
  forecast_leaderboard: "r",
  forecast_scores: "r",
  lifecycle_events: "r",
  market_candles: "r",
  market_coverage: "r",
  market_keys: "r",
  market_predictions: "r",
  market_quotes: "r",
  market_tick_frames: "r",
  market_tick_minutes: "r",
  market_ticks: "r",
  market_ticks_latest: "r",
  market_trades: "r",
  markets: "r",
  metadata_changes: "r",
  metadata_field_changes: "r",
  orderbook_events: "r",
  orderbook_snapshots: "r",
  prediction_scores: "r",
  series: "r",
  tick_minutes: "r",
  ticks: "r",
  ticks_latest: "r",
  trades: "r"
}

/** The same, and how it came to be: what the portal, and people, look at. */
const recorded = {
  ...record,
  archive_last_pass: "r",
  candle_ranges: "r",
  consistency_checks: "r",
  event_cards_stale: "r",
  gap_repairs: "r",
  ingest_state: "r",
  journal_positions: "r",
  prediction_runs: "r",
  quarantine: "r",
  queue_finished: "r",
  queue_jobs: "r",
  queue_workers: "r",
  rate_limit_buckets: "r",
  service_instances: "r",
  slot_feeds: "r",
  trade_windows: "r",
  work_queue: "r"
}

/** What the archive reads and notes, in rest or in workers. */
const archiving = {
  archive_datasets: "raw",
  archive_last_pass: "raw",
  archive_lake: "r",
  book_events: "r",
  book_snapshots: "r",
  capture_gaps: "r",
  market_coverage: "r",
  ticks: "r"
}
const archiveCalls = ["archive_changes", "detach_archived"]

/** What the pulls of history write, in rest or in workers. */
const history = {
  ...signOfLife,
  candle_ranges: "rawd",
  events: "raw",
  ingest_state: "rawd",
  market_candles: "raw",
  market_keys: "ra",
  markets: "raw",
  rate_limit_buckets: "raw",
  series: "raw",
  trade_windows: "raw",
  trades: "raw"
}

/**
 * What each program may do: the one table from which the grants (`sql/roles.sql`), the guardrails and docs/access.md are made. A
 * table or a function that a migration adds must be named here: the suite asks for it.
 */
export const access: Readonly<Record<RoleName, Access>> = {
  rest: {
    about: "discovery, backfill, repairs, the market clock",
    secrets: ["exchange", "broker"],
    // An operator's commands about the queue are answered by rest, which fills it.
    queue: ["enqueue", "retry", "cancel", "purge"],
    tables: {
      ...history,
      ...archiving,
      active_markets: "rd",
      admin_audit: "ra",
      capture_starts: "r",
      consistency_checks: "ra",
      coverage_heard: "r",
      coverage_progress: "r",
      gap_repairs: "rawd",
      journal_positions: "r",
      market_candles_default: "r",
      quarantine: "r",
      queue_finished: "r",
      queue_jobs: "r",
      slot_feeds: "r",
      ticks_latest: "r",
      work_queue: "r",
      ...Object.fromEntries(
        ["book_events", "book_snapshots", "tick_frames", "ticks", "trades"].map((table) => [`${table}_default`, "r"])
      )
    },
    columns: {
      admin_audit: { r: [], w: ["outcome", "detail", "ended_at"] },
      capture_gaps: { r: [], w: ["repaired_by", "repaired_at"] }
    },
    functions: [
      ...partitions,
      ...archiveCalls,
      ...book,
      "advance_market_clock",
      "candles_from_trades",
      "compare_quote_candles",
      "compare_trade_candles",
      "coverage_compute",
      "coverage_hours",
      "coverage_plan",
      "refresh_active_markets",
      "sweep_waiting_lifecycle",
      "trades_complete"
    ]
  },
  ws: {
    about: "live capture: ticks, trades, books, the lifecycle, the ledger of gaps",
    secrets: ["exchange"],
    queue: [],
    tables: {
      ...signOfLife,
      active_markets: "r",
      book_events: "rad",
      book_snapshots: "rad",
      capture_gaps: "ra",
      events: "raw",
      journal_fences: "ra",
      journal_positions: "raw",
      lifecycle_events: "rad",
      lifecycle_waiting: "rad",
      market_keys: "ra",
      markets: "raw",
      quarantine: "rawd",
      series: "r",
      slot_feeds: "r",
      tick_frames: "rad",
      ticks: "rad",
      ticks_latest: "raw",
      trades: "raw"
    },
    columns: audited,
    // What is settled for good, rest and workers say, who have asked for it.
    withheld: { markets: ["completion", "completed_at", "missing_since"] },
    functions: [
      ...partitions,
      "advance_market_clock",
      "link_live",
      "link_lost",
      "narrow_gaps",
      "refresh_active_markets",
      "set_left_out",
      "ws_heartbeat",
      "ws_leave",
      "ws_release"
    ]
  },
  worker: {
    about: "jobs of the work queue: the heavy pulls of history",
    secrets: ["exchange", "broker"],
    queue: ["work", "upkeep"],
    tables: { ...history, ...archiving, queue_finished: "r", queue_jobs: "r", queue_workers: "r" },
    columns: audited,
    functions: [...partitions, ...archiveCalls, "trades_complete"]
  },
  predictor: {
    about: "forecasts, their scores, the documents they are given",
    secrets: ["model"],
    queue: [],
    tables: {
      ...signOfLife,
      events: "r",
      forecast_budget: "rw",
      forecast_leaderboard: "r",
      forecast_schedule: "rwd",
      forecast_scores: "r",
      market_candles: "r",
      market_keys: "r",
      market_predictions: "ra",
      markets: "r",
      prediction_runs: "raw",
      rag_documents: "raw",
      series: "r",
      ticks: "r"
    },
    columns: audited,
    functions: ["claim_forecasts", "finish_forecast", "forecast_eligible", "reserve_call", "score_forecasts"]
  },
  portal: {
    about: "pages and API for people; reads, and keeps its own lists up to date",
    secrets: ["portal", "broker"],
    queue: ["enqueue", "retry"],
    tables: {
      ...recorded,
      ...signOfLife,
      api_tokens: "raw",
      portal_login_attempts: "rawd",
      portal_sessions: "rw",
      portal_sessions_ended: "rad",
      rate_limit_buckets: "raw"
    },
    columns: {
      ...audited,
      markets: {
        r: [],
        w: [
          "rest_price_dollars",
          "rest_yes_bid_dollars",
          "rest_yes_ask_dollars",
          "rest_yes_bid_size",
          "rest_yes_ask_size",
          "rest_volume",
          "rest_volume_24h",
          "rest_open_interest",
          "rest_quote_at",
          "updated_at"
        ]
      }
    },
    functions: [...book, "refresh_active_quotes", "refresh_coverage_day", "refresh_event_cards"]
  },
  admin: {
    about: "an operator's commands: looks at everything but secrets, mends what loops left behind",
    secrets: [],
    queue: ["enqueue", "upkeep", "retry", "cancel", "purge"],
    tables: {
      ...recorded,
      ...archiving,
      ...signOfLife,
      admin_audit: "ra",
      coverage_frontiers: "r",
      coverage_heard: "r",
      coverage_stale: "r",
      forecast_budget: "r",
      forecast_schedule: "r",
      gap_repairs: "rawd",
      import_faults: "r",
      import_progress: "r",
      import_ranges: "r",
      import_runs: "r",
      import_sources: "r",
      ingest_state: "rawd",
      journal_fences: "r",
      lifecycle_waiting: "r",
      portal_login_attempts: "rd",
      portal_sessions: "rw",
      portal_sessions_ended: "r",
      quarantine: "rwd",
      queue_finished: "rawd",
      queue_jobs: "rawd",
      rag_documents: "r",
      shard_leases: "r",
      tick_frames: "r",
      work_queue: "ra",
      ws_members: "r",
      ...Object.fromEntries(
        ["book_events", "book_snapshots", "market_candles", "tick_frames", "ticks", "trades"].map((table) => [
          `${table}_default`,
          "r"
        ])
      )
    },
    columns: {
      admin_audit: { r: [], w: ["outcome", "detail", "ended_at"] },
      api_tokens: {
        r: ["id", "name", "created_at", "expires_at", "revoked_at", "last_used_at"],
        w: ["revoked_at"]
      }
    },
    functions: [...readers, ...partitions, "coverage_compute", "coverage_plan", ...archiveCalls]
  },
  reader: {
    about: "export, replay and notebooks: reads the record, writes nothing",
    secrets: [],
    queue: [],
    tables: { ...record, schema_version: "r" },
    functions: [
      ...book,
      "candles_from_trades",
      "event_as_of",
      "fees_as_of",
      "market_as_of",
      "metadata_as_of",
      "series_as_of",
      "top_of_book_at"
    ]
  }
}

/** The functions a role may call, those of its queue operations included. */
export const functionsOf = (role: RoleName): ReadonlyArray<string> => [
  ...harmless,
  ...access[role].functions,
  ...access[role].queue.flatMap((operation) => queueOperations[operation])
]

export const keysOf = (role: RoleName): ReadonlyArray<IngestKey> =>
  (Object.entries(ingestKeys) as ReadonlyArray<[IngestKey, ReadonlyArray<RoleName>]>)
    .filter(([, owners]) => owners.includes(role))
    .map(([key]) => key)

export const ownersOf = (key: string): ReadonlyArray<RoleName> | undefined =>
  (ingestKeys as Readonly<Record<string, ReadonlyArray<RoleName>>>)[key]

export const queueOwners = (operation: QueueOperation): ReadonlyArray<RoleName> =>
  roleNames.filter((role) => access[role].queue.includes(operation))

/** What kind of secret a variable is; nothing when it is none. */
export const secretKind = (variable: string): SecretKind | undefined =>
  (Object.keys(secrets) as ReadonlyArray<SecretKind>).find((kind) => {
    const { names, prefixes }: { readonly names: ReadonlyArray<string>; readonly prefixes: ReadonlyArray<string> } =
      secrets[kind]
    return names.includes(variable) || prefixes.some((prefix) => variable.startsWith(prefix))
  })
