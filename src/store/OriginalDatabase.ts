import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { SettingError } from "../runtime/SettingError.ts"
import { connect, Database } from "./Database.ts"
import {
  leftTables,
  type OriginalCandle,
  type OriginalDocument,
  type OriginalEvent,
  type OriginalForecast,
  type OriginalLifecycle,
  type OriginalMarket,
  type OriginalRun,
  type OriginalTable,
  type OriginalTick,
  originalColumns,
  originalTables
} from "./OriginalRows.ts"

/** The key of a row in the order that a table is read in, as text. */
export type Position = ReadonlyArray<string>

/** Rows up to a position: how many, and the sum of their keys. */
export interface Tally {
  readonly rows: number
  readonly digest: bigint
}

/** A server and a database in it: the same for every address that leads there. */
export const placeOf = (sql: SqlClient.SqlClient) =>
  sql<{ place: string }>`
    select pg_postmaster_start_time()::text || ' ' || oid as place
    from pg_database where datname = current_database()`.pipe(Effect.map((rows) => rows[0]!.place))

/**
 * A database of the Python original, schema version 3. Nothing is ever written to it. Rows come in the order of their keys, a page
 * at a time, after a position (from the start when it is undefined).
 */
export class OriginalDatabase extends Context.Service<
  OriginalDatabase,
  {
    /** `host:port/database`, fit for a log. */
    readonly address: string
    readonly place: string
    /** When its schema was made: RFC 3339, microseconds. */
    readonly bornAt: string
    readonly tables: ReadonlySet<string>
    /** Everything inside sees the database as of one instant. */
    readonly frozen: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
    /** Rows up to the position, itself included; all rows when it is undefined. */
    tally(table: OriginalTable, upTo: Position | undefined): Effect.Effect<Tally, SqlError>
    events(after: Position | undefined, limit: number): Effect.Effect<ReadonlyArray<OriginalEvent>, SqlError>
    markets(after: Position | undefined, limit: number): Effect.Effect<ReadonlyArray<OriginalMarket>, SqlError>
    /** May be longer than `limit`: rows of one id come together. */
    ticks(after: Position | undefined, limit: number): Effect.Effect<ReadonlyArray<OriginalTick>, SqlError>
    lifecycle(after: Position | undefined, limit: number): Effect.Effect<ReadonlyArray<OriginalLifecycle>, SqlError>
    candles(after: Position | undefined, limit: number): Effect.Effect<ReadonlyArray<OriginalCandle>, SqlError>
    runs(after: Position | undefined, limit: number): Effect.Effect<ReadonlyArray<OriginalRun>, SqlError>
    forecasts(after: Position | undefined, limit: number): Effect.Effect<ReadonlyArray<OriginalForecast>, SqlError>
    documents(after: Position | undefined, limit: number): Effect.Effect<ReadonlyArray<OriginalDocument>, SqlError>
  }
>()("kalshi-ingestor/store/OriginalDatabase") {
  /** `setting`: what the user gave the address by, for messages. */
  static readonly layer = (options: { readonly url: Redacted.Redacted<string>; readonly setting: string }) =>
    Layer.effect(OriginalDatabase, make(options)).pipe(Layer.provide(Reactivity.layer))
}

const make = Effect.fnUntraced(function* (options: {
  readonly url: Redacted.Redacted<string>
  readonly setting: string
}) {
  const context = yield* connect({
    url: options.url,
    setting: options.setting,
    applicationName: "kalshi-ingestor import",
    maxConnections: 1,
    oldestVersion: 13,
    startupParameters: {
      default_transaction_read_only: "on",
      statement_timeout: "0",
      idle_in_transaction_session_timeout: "0",
      extra_float_digits: "3"
    }
  })
  const sql: SqlClient.SqlClient = Context.get(context, PgClient.PgClient)
  const { address } = Context.get(context, Database)
  const wrong = (problem: string, fix: string) =>
    new SettingError({ setting: options.setting, problem: `${address} ${problem}`, fix })

  const bornAt = yield* identify(sql, wrong)
  const tables = yield* check(sql, wrong)
  const place = yield* placeOf(sql).pipe(
    Effect.mapError((error) => wrong(`cannot be read (${error.message})`, "try again"))
  )

  // How this transaction begins is not how those inside, on other databases, begin.
  const frozen = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    sql
      .withTransaction(Effect.provideService(effect, SqlClient.BeginTransaction, undefined))
      .pipe(Effect.provideService(SqlClient.BeginTransaction, "begin isolation level repeatable read read only"))

  const tally = Effect.fn("OriginalDatabase.tally")(function* (table: OriginalTable, upTo: Position | undefined) {
    const rows = yield* sql.unsafe<{ rows: bigint; digest: string }>(
      `select count(*) as rows, coalesce(sum(${digests[table]}), 0)::numeric(40, 0)::text as digest from ${table} t
       ${upTo === undefined ? "" : `where ${keys[table].until}`}`,
      upTo ?? []
    )
    return { rows: Number(rows[0]!.rows), digest: BigInt(rows[0]!.digest) }
  })

  const selects = selectsWith(tables)
  const page =
    <A extends object>(table: OriginalTable) =>
    (after: Position | undefined, limit: number) => {
      const { beyond, order } = keys[table]
      return sql.unsafe<A>(
        `select (${digests[table]})::text as digest, ${selects[table]} ${after === undefined ? "" : `where ${beyond}`} order by ${order} fetch first ${limit} rows with ties`,
        after ?? []
      )
    }

  return OriginalDatabase.of({
    address,
    place,
    bornAt,
    tables,
    frozen,
    tally,
    events: page<OriginalEvent>("events"),
    markets: page<OriginalMarket>("markets"),
    ticks: page<OriginalTick>("market_ticks"),
    lifecycle: page<OriginalLifecycle>("lifecycle_events"),
    candles: page<OriginalCandle>("market_candles"),
    runs: page<OriginalRun>("prediction_runs"),
    forecasts: page<OriginalForecast>("market_predictions"),
    documents: page<OriginalDocument>("rag_documents")
  })
})

type Wrong = (problem: string, fix: string) => SettingError

/** When the original's schema was made; fails when this is no database of the original, or of another version. */
const identify = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, wrong: Wrong) {
  const noSchema = () =>
    wrong("is not a database of the Python original: it has no schema_version", "name the original's database")
  const columns = yield* sql<{ column_name: string }>`
    select attname as column_name from pg_attribute
    where attrelid = to_regclass('schema_version') and attnum > 0 and not attisdropped`.pipe(Effect.mapError(noSchema))
  if (columns.length === 0) return yield* noSchema()
  if (columns.some(({ column_name }) => column_name === "checksum"))
    return yield* wrong(
      "is a database of kalshi-ingestor itself, not of the Python original",
      "name the original's database; one of ours is moved with pg_dump"
    )
  const versions = yield* sql<{ version: number; born: string }>`
    select max(version)::int as version,
      to_char(min(applied_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as born
    from schema_version having count(*) > 0`.pipe(
    Effect.mapError(() =>
      wrong("does not let this user read schema_version", "grant select on its tables to this user")
    )
  )
  const [found] = versions
  if (found === undefined) return yield* wrong("has an empty schema_version", "name the original's database")
  if (found.version !== 3)
    return yield* wrong(
      `has schema version ${found.version} of the Python original, and only version 3 can be imported`,
      "bring it to version 3 with the original's own migrator first"
    )
  return found.born
})

/** The tables that are there; fails when a column that is read is missing, or may not be read. */
const check = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, wrong: Wrong) {
  const wanted = [...originalTables, ...Object.keys(leftTables)]
  const found = yield* sql<{ name: string; readable: boolean; columns: ReadonlyArray<string> }>`
    select c.relname as name, has_table_privilege(c.oid, 'select') as readable,
      array(select attname::text from pg_attribute a where a.attrelid = c.oid and attnum > 0 and not attisdropped) as columns
    from unnest(${wanted}::text[]) as wanted (name)
    join pg_class c on c.oid = to_regclass(wanted.name)`.pipe(
    Effect.mapError((error) => wrong(`cannot be read (${error.message})`, "try again"))
  )
  for (const { columns, name, readable } of found) {
    const needed = originalTables.find((table) => table === name)
    if (needed === undefined) continue
    if (!readable) return yield* wrong(`does not let this user read ${name}`, `grant select on ${name} to this user`)
    const missing = originalColumns[needed].find((column) => !columns.includes(column))
    if (missing !== undefined)
      return yield* wrong(
        `has no column ${missing} in ${name}`,
        "only an unchanged schema of version 3 can be imported"
      )
  }
  if (!found.some(({ name }) => originalTables.some((table) => table === name)))
    return yield* wrong("has none of the original's tables", "name the original's database")
  return new Set(found.filter(({ readable }) => readable).map(({ name }) => name))
})

interface Key {
  readonly order: string
  readonly beyond: string
  readonly until: string
}

const simple = (column: string, type: string): Key => ({
  order: `t.${column}`,
  beyond: `t.${column} > $1::${type}`,
  until: `t.${column} <= $1::${type}`
})

const candleKey = "t.market_ticker, t.period_interval_minutes, t.end_period_ts"

const keys: Readonly<Record<OriginalTable, Key>> = {
  events: simple("event_ticker", "text"),
  markets: simple("ticker", "text"),
  market_ticks: simple("id", "bigint"),
  lifecycle_events: simple("id", "bigint"),
  market_candles: {
    order: candleKey,
    beyond: `(${candleKey}) > ($1::text, $2::int, $3::timestamptz)`,
    until: `(${candleKey}) <= ($1::text, $2::int, $3::timestamptz)`
  },
  prediction_runs: simple("id", "bigint"),
  market_predictions: simple("id", "bigint"),
  rag_documents: simple("id", "bigint")
}

const microsOf = (column: string) =>
  `case when ${column} >= '1970-01-01Z' and ${column} < '2200-01-01Z' then round(extract(epoch from ${column})::numeric * 1000000)::bigint end`

/** What a row adds to the sum of the keys. */
const digests: Readonly<Record<OriginalTable, string>> = {
  events: "hashtextextended(t.event_ticker, 0)",
  markets: "hashtextextended(t.ticker, 0)",
  market_ticks: "t.id",
  lifecycle_events: "t.id",
  market_candles: `coalesce(${microsOf("t.end_period_ts")}, 0) + t.period_interval_minutes`,
  prediction_runs: "t.id",
  market_predictions: "t.id",
  rag_documents: "t.id"
}

const stampOf = (value: string) => `(${microsOf(value)})::float8 as micros, ${value}::text as text`
const stamp = (column: string) => stampOf(`t.${column}`)

const instant = (column: string, from = `t.${column}`) =>
  `case when isfinite(${from}) then to_char(${from} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') end as ${column}`

const said = (names: ReadonlyArray<string | readonly [name: string, ...keys: ReadonlyArray<string>]>) =>
  names
    .map((name) => (typeof name === "string" ? ([name, name] as const) : name))
    .map(([name, ...fields]) => `coalesce(${fields.map((field) => `s.m ->> '${field}'`).join(", ")}) as said_${name}`)
    .join(", ")

const priceNames = ["open", "high", "low", "close", "mean", "previous"]

/** Prices as exact text: a JSON number of a column that is read as JSON would become a float. */
const prices = (name: string, object: string) =>
  `case when jsonb_typeof(${object}) = 'object' then jsonb_build_object(${[
    ...priceNames.map((key) => `${key}_dollars`),
    ...priceNames
  ]
    .map((key) => `'${key}', ${object} ->> '${key}'`)
    .join(", ")}) end as said_${name}`

const noRuns = "(select null::bigint as id, null::text as agent, null::text as model, null::text as status where false)"

const repeated = (sameMarket: string) => `exists (
          select from lifecycle_events p
          where p.ts between t.ts - interval '5 seconds' and t.ts + interval '5 seconds' and p.id < t.id
            and ${sameMarket} and p.event_type = t.event_type and p.raw = t.raw
        )`

const selectsWith = (tables: ReadonlySet<string>): Readonly<Record<OriginalTable, string>> => ({
  events: `t.event_ticker, t.series_ticker, t.title, t.sub_title, t.category, t.collateral_return_type, t.mutually_exclusive,
      ${instant("strike_date")}, t.strike_period, t.product_metadata ->> 'cadence' as cadence
    from events t`,
  markets: `t.ticker, t.event_ticker, t.market_type, t.title, t.subtitle, t.yes_sub_title, t.no_sub_title,
      ${instant("created_time")}, ${instant("open_time")}, ${instant("close_time")}, ${instant("expected_expiration_time")},
      ${instant("latest_expiration_time", "coalesce(t.latest_expiration_time, t.expiration_time)")},
      t.settlement_timer_seconds, t.can_close_early, t.rules_primary, t.rules_secondary, t.price_level_structure, t.price_ranges::text as price_ranges,
      t.strike_type, t.floor_strike, t.cap_strike, t.functional_strike, t.custom_strike::text as custom_strike, t.mve_collection_ticker,
      t.settlement_value::text as settlement_value, t.settlement_value_dollars::text as settlement_value_dollars,
      ${instant("settlement_ts")}
    from markets t`,
  market_ticks: `t.id, t.ticker, ${stamp("ts")}, t.price, t.yes_bid, t.yes_ask, t.price_dollars::text as price_dollars,
      t.yes_bid_dollars::text as yes_bid_dollars, t.yes_ask_dollars::text as yes_ask_dollars, t.volume::text as volume,
      t.open_interest::text as open_interest, t.dollar_volume::text as dollar_volume,
      t.dollar_open_interest::text as dollar_open_interest, t.implied_yes_mid::text as implied_yes_mid,
      coalesce(jsonb_typeof(t.raw) = 'object', false) as has_raw, coalesce(t.raw ->> 'source' = 'live_snapshot', false) as snapshot,
      ${said([
        ["price_dollars", "price_dollars", "last_price_dollars"],
        ["price", "price", "last_price", "last_price_cents"],
        "yes_bid_dollars",
        ["yes_bid", "yes_bid", "yes_bid_cents", "yes_bid_price"],
        "yes_ask_dollars",
        ["yes_ask", "yes_ask", "yes_ask_cents", "yes_ask_price"],
        ["yes_bid_size", "yes_bid_size_fp"],
        ["yes_ask_size", "yes_ask_size_fp"],
        ["last_trade_size", "last_trade_size_fp"],
        "volume_fp",
        ["volume", "volume", "vol"],
        "open_interest_fp",
        ["open_interest", "open_interest", "oi"],
        "dollar_volume",
        "dollar_open_interest",
        ["ts", "ts", "timestamp", "time", "received_time"],
        "ts_ms"
      ])}
    from market_ticks t
    cross join lateral (
      select case when t.raw ->> 'source' = 'live_snapshot' then t.raw -> 'market' else coalesce(t.raw -> 'msg', t.raw) end as m
    ) s`,
  lifecycle_events: `t.id, ${stamp("ts")}, t.market_ticker, t.event_type, t.open_ts::text as open_ts, t.close_ts::text as close_ts,
      t.raw::text as raw,
      case when t.market_ticker is null
        then ${repeated("p.market_ticker is null")} else ${repeated("p.market_ticker = t.market_ticker")} end as repeated
    from lifecycle_events t`,
  market_candles: `t.market_ticker, t.period_interval_minutes, ${stamp("end_period_ts")}, t.open::text as open, t.high::text as high,
      t.low::text as low, t.close::text as close, t.volume::text as volume, t.open_interest::text as open_interest,
      coalesce(jsonb_typeof(t.raw) = 'object', false) as has_raw,
      ${prices("price", "t.raw -> 'price'")}, ${prices("yes_bid", "t.raw -> 'yes_bid'")}, ${prices("yes_ask", "t.raw -> 'yes_ask'")},
      coalesce(t.raw ->> 'volume_fp', t.raw ->> 'volume') as said_volume,
      coalesce(t.raw ->> 'open_interest_fp', t.raw ->> 'open_interest') as said_open_interest
    from market_candles t`,
  prediction_runs: `t.id, t.event_ticker, ${stamp("run_ts")}, t.prompt, t.agent, t.model, t.status, t.error, t.metadata::text as metadata
    from prediction_runs t`,
  market_predictions: `t.id, t.run_id, t.event_ticker, t.market_ticker, t.predicted_yes_prob::text as predicted_yes_prob,
      t.confidence::text as confidence, t.rationale, t.raw::text as raw, ${stamp("created_at")},
      case
        when t.rationale like 'baseline from %' and (t.raw -> 'candle_end_ts') is not null then 'baseline'
        when (t.raw -> 'retrieved') is not null then 'retrieval'
      end as written_by,
      r.agent as run_agent, r.model as run_model, r.status as run_status
    from market_predictions t
    left join ${tables.has("prediction_runs") ? "prediction_runs" : noRuns} r on r.id = t.run_id`,
  rag_documents: `t.id, t.source, t.source_id, t.event_ticker, t.market_ticker, t.content, t.embedding::text as embedding,
      t.metadata ->> 'embedding_model' as embedding_model, t.metadata::text as metadata,
      ${stampOf("coalesce(t.updated_at, t.created_at)")}
    from rag_documents t`
})
