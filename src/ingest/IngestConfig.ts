import * as Setting from "../runtime/Setting.ts"
import { dedupeFields } from "./TickDedupe.ts"

const seconds = { min: 0.1, max: 604_800 }

/** Which events are recorded. */
export const strikePeriods = {
  periods: Setting.list("STRIKE_PERIODS", "strike periods to record; hourly and daily mean hour and day", [
    "hour",
    "day"
  ]),
  hourMaxHours: Setting.number(
    "STRIKE_HOUR_MAX_HOURS",
    "an event of unstated period that trades at most this many hours counts as hourly",
    2,
    { min: 0.01, max: 10_000 }
  ),
  dayMaxHours: Setting.number(
    "STRIKE_DAY_MAX_HOURS",
    "an event of unstated period that trades at most this many hours counts as daily",
    36,
    { min: 0.01, max: 10_000 }
  )
}

export const multivariate = {
  includeMultivariate: Setting.boolean(
    "INCLUDE_MULTIVARIATE",
    "1 records combos (multivariate events, KXMVE), too; there are very many of them",
    false
  )
}

const eventStatuses = ["unopened", "open", "closed", "settled"]

export const discovery = {
  ...strikePeriods,
  ...multivariate,
  everySeconds: Setting.number("DISCOVERY_SECONDS", "seconds between discovery passes", 1800, seconds),
  statuses: Setting.list(
    "DISCOVERY_EVENT_STATUSES",
    "event statuses of a full pass; unopened events are always included",
    ["open"],
    eventStatuses
  ),
  fullSeconds: Setting.number(
    "DISCOVERY_FULL_SECONDS",
    "seconds between full passes; passes between them ask only for what was updated",
    21_600,
    seconds
  )
}

const candleMinutes = ["1", "60", "1440"] as const

export const candles = {
  minutesForHour: Setting.oneOf(
    "CANDLE_MINUTES_FOR_HOUR",
    "minutes of one candle of hourly markets: 1, 60 or 1440",
    candleMinutes,
    "1"
  ),
  minutesForDay: Setting.oneOf(
    "CANDLE_MINUTES_FOR_DAY",
    "minutes of one candle of daily markets, and of those of any other period: 1, 60 or 1440",
    candleMinutes,
    "60"
  ),
  lookbackHours: Setting.number("CANDLE_LOOKBACK_HOURS", "most hours of candles that one call asks for", 72, {
    min: 1,
    max: 100_000
  }),
  candleIntervalSeconds: Setting.number(
    "KALSHI_CANDLE_MIN_INTERVAL_SECONDS",
    "least seconds between two calls for candles, beside the account's budget",
    0,
    { min: 0, max: 3600 }
  ),
  candleSettleSeconds: Setting.number(
    "CANDLE_SETTLE_SECONDS",
    "a candle is asked for again until its period has been over for this many seconds: it may still be revised",
    300,
    { min: 0, max: 86_400 }
  )
}

const historyStatuses = ["open", "closed", "settled"] as const

export const backfill = {
  ...strikePeriods,
  ...multivariate,
  ...candles,
  backfillSeconds: Setting.number("BACKFILL_SECONDS", "seconds between backfill passes, 0 for none", 900, {
    min: 0,
    max: 604_800
  }),
  backfillStatuses: Setting.list(
    "BACKFILL_EVENT_STATUSES",
    "event statuses that a backfill pass reads; settled includes closed, without open there are no candles of markets that trade",
    historyStatuses,
    historyStatuses
  ),
  backfillFirstDays: Setting.number(
    "BACKFILL_FIRST_DAYS",
    "days of closed markets that the first backfill pass, and a full one, reaches back",
    7,
    { min: 0, max: 10_000 }
  ),
  backfillForceFull: Setting.boolean(
    "BACKFILL_FORCE_FULL",
    "1 reads everything of the last BACKFILL_FIRST_DAYS again, once at start",
    false
  )
}

export const closedCleanup = {
  ...strikePeriods,
  ...multivariate,
  ...candles,
  cleanupSeconds: Setting.number(
    "CLOSED_CLEANUP_SECONDS",
    "seconds between passes that complete closed markets, 0 for none",
    3600,
    { min: 0, max: 604_800 }
  ),
  cleanupStatuses: Setting.list(
    "CLOSED_CLEANUP_EVENT_STATUSES",
    "statuses of the closed markets that are completed",
    ["closed", "settled"],
    ["closed", "settled"]
  ),
  cleanupGraceMinutes: Setting.number(
    "CLOSED_CLEANUP_GRACE_MINUTES",
    "minutes after its close before a market is completed and leaves active_markets at the latest",
    30,
    { min: 0, max: 100_000 }
  )
}

export const tradeReconcile = {
  tradeEverySeconds: Setting.numberOption(
    "TRADE_RECONCILE_SECONDS",
    "seconds between comparisons of the stored trades with the exchange's list, 0 for never; unset: 300 once trades are recorded live",
    300,
    { min: 0, max: 604_800 }
  ),
  tradeLagSeconds: Setting.number(
    "TRADE_RECONCILE_LAG_SECONDS",
    "trades younger than this many seconds wait for the next comparison: they may still be on their way",
    60,
    { min: 0, max: 86_400 }
  )
}

/** Which part of the markets a ws process records. */
export const sharding = {
  shardCount: Setting.intOption(
    "WS_SHARD_COUNT",
    "a fixed division of the markets among this many ws processes; unset: live processes share them by leases",
    2,
    { min: 1, max: 1000 }
  ),
  shardId: Setting.intOption("WS_SHARD_ID", "which of the WS_SHARD_COUNT parts this process records, from 0", 0, {
    min: 0,
    max: 999
  }),
  shardKey: Setting.oneOf("WS_SHARD_KEY", "what keeps markets together", ["event", "market"], "event"),
  leaseSeconds: Setting.number(
    "WS_LEASE_SECONDS",
    "seconds after which the markets of a dead ws process go to the others",
    15,
    { min: 3, max: 600 }
  )
}

export const capture = {
  ...strikePeriods,
  ...sharding,
  enable: Setting.boolean("KALSHI_WS_ENABLE", "0 turns the live stream off", true),
  channels: Setting.list(
    "KALSHI_WS_CHANNELS",
    "WebSocket channels to record",
    ["ticker", "market_lifecycle_v2"],
    ["ticker", "trade", "orderbook_delta", "market_lifecycle_v2"]
  ),
  bookSeries: Setting.listOption(
    "WS_BOOK_SERIES",
    "series whose order books the channel orderbook_delta records; unset: all that are recorded",
    ["KXBTCD", "KXETHD"]
  ),
  bookSnapshotSeconds: Setting.number(
    "WS_BOOK_SNAPSHOT_SECONDS",
    "seconds between full order books; changes are recorded between them",
    900,
    { min: 1, max: 86_400 }
  ),
  batchSize: Setting.int("WS_BATCH_SIZE", "markets added or removed by one subscription command", 500, {
    min: 1,
    max: 10_000
  }),
  refreshSeconds: Setting.number(
    "WS_SUB_REFRESH_SECONDS",
    "seconds between full comparisons of subscriptions with active_markets; changes are followed at once",
    60,
    seconds
  ),
  maxTickers: Setting.int(
    "MAX_ACTIVE_TICKERS",
    "most markets one process subscribes to; the soonest to close go first",
    5000,
    {
      min: 1,
      max: 500_000
    }
  ),
  silenceSeconds: Setting.number(
    "WS_SILENCE_SECONDS",
    "a connection without data for this long, when much was due, must prove that it lives; 0 turns that off",
    60,
    { min: 0, max: 86_400 }
  ),
  dedupe: Setting.boolean(
    "WS_TICK_DEDUP_ENABLE",
    "1 leaves out a tick that is equal to the last stored one of its market",
    false
  ),
  dedupeSeconds: Setting.number(
    "WS_TICK_DEDUP_MAX_AGE_SECONDS",
    "an equal tick is stored again when the last stored one is older than this",
    1,
    { min: 0, max: 86_400 }
  ),
  dedupeFields: Setting.list(
    "WS_TICK_DEDUP_FIELDS",
    "what must be equal",
    [
      "price",
      "yes_bid",
      "yes_ask",
      "volume",
      "open_interest",
      "dollar_volume",
      "dollar_open_interest",
      "implied_yes_mid"
    ],
    dedupeFields
  ),
  storeRaw: Setting.boolean(
    "STORE_RAW",
    "1 stores the frame of each tick in the database, too; the journal has it in any case",
    false
  ),
  journalDirectory: Setting.text(
    "JOURNAL_DIR",
    "directory of the raw frame journal, on a local disk; unset: journal/ in DATA_DIR"
  ),
  journalSegmentMegabytes: Setting.int("JOURNAL_SEGMENT_MB", "a journal segment is closed at this size", 64, {
    min: 1,
    max: 4096
  }),
  journalKeepHours: Setting.number("JOURNAL_KEEP_HOURS", "hours that stored journal segments are kept", 72, {
    min: 0,
    max: 100_000
  }),
  journalCompress: Setting.boolean("JOURNAL_COMPRESS", "1 compresses stored journal segments", true),
  journalMinFreeMegabytes: Setting.int(
    "JOURNAL_MIN_FREE_MB",
    "the feed is not read while the journal's disk has less room than this",
    256,
    { min: 0, max: 10_000_000 }
  ),
  writerBatch: Setting.int("WS_DB_BATCH_SIZE", "most frames stored by one transaction", 5000, { min: 1, max: 100_000 })
}

/** What is recorded, what is made up for, and what is compared. */
export const completeness = {
  coverageSeconds: Setting.number(
    "COVERAGE_SECONDS",
    "seconds between passes that bring the coverage of each market and hour up to date, 0 for never",
    60,
    { min: 0, max: 604_800 }
  ),
  repairSeconds: Setting.number(
    "REPAIR_SECONDS",
    "seconds between looks for gaps of the live feed that candles and trades can heal, 0 for never",
    60,
    { min: 0, max: 604_800 }
  ),
  consistencySeconds: Setting.number(
    "CONSISTENCY_SECONDS",
    "seconds between comparisons of what was recorded with the exchange's candles and order books, 0 for never",
    3600,
    { min: 0, max: 604_800 }
  ),
  consistencyMarkets: Setting.int("CONSISTENCY_MARKETS", "markets, drawn by lot, that one comparison looks at", 20, {
    min: 1,
    max: 100
  })
}

export const importer = {
  from: Setting.secret(
    "IMPORT_FROM",
    "the Python original's database for `migrator import`, postgres://user:password@host:5432/database; as --from it would be seen by everyone on the machine"
  )
}
