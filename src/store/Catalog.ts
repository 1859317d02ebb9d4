import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Event } from "../market/Event.ts"
import type { Market } from "../market/Market.ts"
import type { Series } from "../market/Series.ts"
import * as Upsert from "./Upsert.ts"

/** An event together with the strike period it was found to have. */
export interface ClassifiedEvent {
  readonly event: Event
  readonly strikePeriod: string | undefined
}

const seriesUpsert = Upsert.statement("series", "ticker", [
  { name: "title", type: "text" },
  { name: "frequency", type: "text" },
  { name: "category", type: "text" },
  { name: "tags", type: "text[]" },
  { name: "fee_type", type: "text" },
  { name: "fee_multiplier", type: "numeric" },
  { name: "contract_url", type: "text" },
  { name: "last_updated", type: "timestamptz" }
])

const seriesRow = (series: Series) => ({
  ticker: series.ticker,
  title: series.title,
  frequency: series.frequency,
  category: series.category,
  tags: series.tags,
  fee_type: series.feeType,
  fee_multiplier: series.feeMultiplier,
  contract_url: series.contractUrl,
  last_updated: series.lastUpdated
})

/** What is not spoken of stays; what is said to be no more goes. */
const feeOverride = (name: string, type: string): Upsert.Column => ({
  name,
  type,
  merge: `case when not excluded.has_fee_override then null else coalesce(excluded.${name}, t.${name}) end`
})

const eventUpsert = Upsert.statement("events", "event_ticker", [
  { name: "series_ticker", type: "text" },
  { name: "title", type: "text" },
  { name: "sub_title", type: "text" },
  { name: "category", type: "text" },
  { name: "collateral_return_type", type: "text" },
  { name: "mutually_exclusive", type: "boolean" },
  { name: "strike_date", type: "timestamptz" },
  { name: "strike_period", type: "text" },
  { name: "strike_period_exchange", type: "text" },
  { name: "cadence", type: "text" },
  { name: "has_fee_override", type: "boolean" },
  feeOverride("fee_type_override", "text"),
  feeOverride("fee_multiplier_override", "numeric"),
  { name: "exchange_index", type: "integer" },
  { name: "last_updated", type: "timestamptz" }
])

const eventRow = ({ event, strikePeriod }: ClassifiedEvent) => ({
  event_ticker: event.eventTicker,
  series_ticker: event.seriesTicker,
  title: event.title,
  sub_title: event.subTitle,
  category: event.category,
  collateral_return_type: event.collateralReturnType,
  mutually_exclusive: event.mutuallyExclusive,
  strike_date: event.strikeDate,
  strike_period: strikePeriod,
  strike_period_exchange: event.strikePeriod,
  cadence: event.cadence,
  has_fee_override: event.hasFeeOverride,
  fee_type_override: event.feeTypeOverride,
  fee_multiplier_override: event.feeMultiplierOverride,
  exchange_index: event.exchangeIndex,
  last_updated: event.lastUpdated
})

const newerQuote = (name: string): Upsert.Column => ({
  name,
  type: "numeric",
  merge: `case when excluded.rest_quote_at >= coalesce(t.rest_quote_at, '-infinity') then coalesce(excluded.${name}, t.${name}) else t.${name} end`
})

const quoteColumns = [
  "rest_price_dollars",
  "rest_yes_bid_dollars",
  "rest_yes_ask_dollars",
  "rest_yes_bid_size",
  "rest_yes_ask_size",
  "rest_volume",
  "rest_volume_24h",
  "rest_open_interest"
]

const quotesUpdate = `
  update markets t set
    ${quoteColumns.map((name) => `${name} = coalesce(r.${name}, t.${name})`).join(",\n    ")},
    rest_quote_at = r.rest_quote_at, updated_at = clock_timestamp()
  from jsonb_to_recordset($1::jsonb) as r (
    ticker text, ${quoteColumns.map((name) => `${name} numeric`).join(", ")}, rest_quote_at timestamptz)
  where t.ticker = r.ticker and coalesce(t.rest_quote_at, '-infinity') <= r.rest_quote_at`

const marketUpsert = Upsert.statement("markets", "ticker", [
  { name: "event_ticker", type: "text" },
  { name: "market_type", type: "text" },
  { name: "title", type: "text" },
  { name: "yes_sub_title", type: "text" },
  { name: "no_sub_title", type: "text" },
  { name: "status", type: "text", merge: "next_status(t.status, excluded.status)" },
  { name: "created_time", type: "timestamptz" },
  { name: "updated_time", type: "timestamptz" },
  { name: "open_time", type: "timestamptz" },
  { name: "close_time", type: "timestamptz" },
  { name: "expected_expiration_time", type: "timestamptz" },
  { name: "latest_expiration_time", type: "timestamptz" },
  { name: "determination_ts", type: "timestamptz" },
  { name: "settlement_ts", type: "timestamptz" },
  { name: "settlement_timer_seconds", type: "integer" },
  { name: "settlement_value_dollars", type: "numeric" },
  { name: "result", type: "text" },
  { name: "expiration_value", type: "text" },
  { name: "can_close_early", type: "boolean" },
  { name: "strike_type", type: "text" },
  { name: "floor_strike", type: "numeric" },
  { name: "cap_strike", type: "numeric" },
  { name: "functional_strike", type: "text" },
  { name: "custom_strike", type: "jsonb" },
  { name: "rules_primary", type: "text" },
  { name: "rules_secondary", type: "text" },
  { name: "price_level_structure", type: "text" },
  { name: "price_ranges", type: "jsonb" },
  { name: "is_provisional", type: "boolean" },
  { name: "is_multivariate", type: "boolean" },
  { name: "exchange_index", type: "integer" },
  ...quoteColumns.map(newerQuote),
  { name: "rest_quote_at", type: "timestamptz", merge: "greatest(excluded.rest_quote_at, t.rest_quote_at)" }
])

const marketRow = (market: Market, readAt: string) => ({
  ticker: market.ticker,
  event_ticker: market.eventTicker,
  market_type: market.marketType,
  title: market.title,
  yes_sub_title: market.yesSubTitle,
  no_sub_title: market.noSubTitle,
  status: market.status,
  created_time: market.createdTime,
  updated_time: market.updatedTime,
  open_time: market.openTime,
  close_time: market.closeTime,
  expected_expiration_time: market.expectedExpirationTime,
  latest_expiration_time: market.latestExpirationTime,
  determination_ts: market.determinationTime,
  settlement_ts: market.settlementTime,
  settlement_timer_seconds: market.settlementTimerSeconds,
  settlement_value_dollars: market.settlementValue,
  result: market.result,
  expiration_value: market.expirationValue,
  can_close_early: market.canCloseEarly,
  strike_type: market.strikeType,
  floor_strike: market.floorStrike,
  cap_strike: market.capStrike,
  functional_strike: market.functionalStrike,
  custom_strike: market.customStrike,
  rules_primary: market.rulesPrimary,
  rules_secondary: market.rulesSecondary,
  price_level_structure: market.priceLevelStructure,
  price_ranges: market.priceRanges,
  is_provisional: market.isProvisional,
  is_multivariate: market.isMultivariate,
  exchange_index: market.exchangeIndex,
  rest_price_dollars: market.quote?.price,
  rest_yes_bid_dollars: market.quote?.yesBid,
  rest_yes_ask_dollars: market.quote?.yesAsk,
  rest_yes_bid_size: market.quote?.yesBidSize,
  rest_yes_ask_size: market.quote?.yesAskSize,
  rest_volume: market.quote?.volume,
  rest_volume_24h: market.quote?.volume24h,
  rest_open_interest: market.quote?.openInterest,
  rest_quote_at: market.quote === undefined ? undefined : readAt
})

/** Rows in the order they came, cut so that no key comes twice in one statement. */
const rounds = <A extends object>(rows: ReadonlyArray<A>, key: (row: A) => string): ReadonlyArray<ReadonlyArray<A>> => {
  const times = new Map<string, number>()
  const found: Array<Array<A>> = []
  for (const row of rows) {
    const round = times.get(key(row)) ?? 0
    times.set(key(row), round + 1)
    const same = found[round]
    if (same === undefined) found.push([row])
    else same.push(row)
  }
  return found
}

/**
 * Series, events and markets. Every save is one statement for the whole set; a field missing from a payload never
 * erases a stored one; saves return how many rows were new or changed.
 */
export class Catalog extends Context.Service<
  Catalog,
  {
    saveSeries(series: ReadonlyArray<Series>): Effect.Effect<number, SqlError>
    saveEvents(events: ReadonlyArray<ClassifiedEvent>): Effect.Effect<number, SqlError>
    /** `readAt`: when the payload was read, RFC 3339; orders quotes of different reads. */
    saveMarkets(markets: ReadonlyArray<Market>, readAt: string): Effect.Effect<number, SqlError>
    /** Only the quotes of markets that are known, where they are not older than the stored ones. */
    saveQuotes(markets: ReadonlyArray<Market>, readAt: string): Effect.Effect<void, SqlError>
    readonly seriesFrequencies: Effect.Effect<ReadonlyMap<string, string>, SqlError>
    strikePeriods(eventTickers: ReadonlyArray<string>): Effect.Effect<ReadonlyMap<string, string>, SqlError>
    knownMarkets(tickers: ReadonlyArray<string>): Effect.Effect<ReadonlySet<string>, SqlError>
    /** Those of these series that have an event of one of the strike periods. */
    seriesOfPeriods(
      seriesTickers: ReadonlyArray<string>,
      strikePeriods: ReadonlyArray<string>
    ): Effect.Effect<ReadonlySet<string>, SqlError>
    /** When markets settled, epoch milliseconds; those that have not, or are unknown, are absent. */
    settledMillis(tickers: ReadonlyArray<string>): Effect.Effect<ReadonlyMap<string, number>, SqlError>
  }
>()("kalshi-ingestor/store/Catalog") {
  static readonly layer = Layer.effect(
    Catalog,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const save = <A extends object>(statement: string, rows: ReadonlyArray<A>, key: (row: A) => string) =>
        Effect.map(
          Effect.forEach(rounds(rows, key), (round) => sql.unsafe(statement, [JSON.stringify(round)])),
          (changed) => changed.reduce((sum, { length }) => sum + length, 0)
        )

      const saveSeries = Effect.fn("Catalog.saveSeries")((series: ReadonlyArray<Series>) =>
        save(seriesUpsert, series.map(seriesRow), ({ ticker }) => ticker)
      )
      const saveEvents = Effect.fn("Catalog.saveEvents")((events: ReadonlyArray<ClassifiedEvent>) =>
        save(eventUpsert, events.map(eventRow), ({ event_ticker }) => event_ticker)
      )
      const saveMarkets = Effect.fn("Catalog.saveMarkets")((markets: ReadonlyArray<Market>, readAt: string) =>
        save(
          marketUpsert,
          markets.map((market) => marketRow(market, readAt)),
          ({ ticker }) => ticker
        )
      )
      const saveQuotes = Effect.fn("Catalog.saveQuotes")((markets: ReadonlyArray<Market>, readAt: string) => {
        const rows = markets.filter(({ quote }) => quote !== undefined).map((market) => marketRow(market, readAt))
        return Effect.asVoid(sql.unsafe(quotesUpdate, [JSON.stringify(rows)]))
      })
      const seriesFrequencies = sql<{ ticker: string; frequency: string }>`
        select ticker, frequency from series where frequency is not null`.pipe(
        Effect.map((rows) => new Map(rows.map((row) => [row.ticker, row.frequency])))
      )
      const strikePeriods = Effect.fn("Catalog.strikePeriods")((tickers: ReadonlyArray<string>) =>
        sql<{ event_ticker: string; strike_period: string }>`
          select event_ticker, strike_period from events
          where strike_period is not null and event_ticker = any(${tickers})`.pipe(
          Effect.map((rows) => new Map(rows.map((row) => [row.event_ticker, row.strike_period])))
        )
      )
      const knownMarkets = Effect.fn("Catalog.knownMarkets")((tickers: ReadonlyArray<string>) =>
        sql<{ ticker: string }>`select ticker from markets where ticker = any(${tickers})`.pipe(
          Effect.map((rows) => new Set(rows.map((row) => row.ticker)))
        )
      )
      const seriesOfPeriods = Effect.fn("Catalog.seriesOfPeriods")(
        (tickers: ReadonlyArray<string>, periods: ReadonlyArray<string>) =>
          sql<{ ticker: string }>`
            select ticker from unnest(${tickers}::text[]) as s (ticker)
            where exists (select from events where series_ticker = ticker and strike_period = any (${periods}::text[]))`.pipe(
            Effect.map((rows) => new Set(rows.map(({ ticker }) => ticker)))
          )
      )
      const settledMillis = Effect.fn("Catalog.settledMillis")((tickers: ReadonlyArray<string>) =>
        sql<{ ticker: string; settlement_ts: Date }>`
          select ticker, settlement_ts from markets where settlement_ts is not null and ticker = any(${tickers})`.pipe(
          Effect.map((rows) => new Map(rows.map((row) => [row.ticker, row.settlement_ts.getTime()])))
        )
      )
      return Catalog.of({
        saveSeries,
        saveEvents,
        saveMarkets,
        saveQuotes,
        seriesFrequencies,
        strikePeriods,
        knownMarkets,
        seriesOfPeriods,
        settledMillis
      })
    })
  )
}
