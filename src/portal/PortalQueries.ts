import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Timestamp } from "../market/Timestamp.ts"
import { searchQuery } from "../store/SearchWords.ts"
import { transaction } from "../store/Transaction.ts"
import { BadCursor } from "./ApiErrors.ts"
import type { MarketPage, MarketQuote, MarketRow } from "./MarketListsApi.ts"
import { withMid } from "./WithMid.ts"

export interface PageRequest {
  readonly after?: string | undefined
  readonly limit: number
  readonly search?: string | undefined
  readonly strikePeriod?: string | undefined
}

export interface Ages {
  readonly active: number
  readonly newestTickAt: Timestamp | null
  readonly openGaps: number
}

/** Where a page ended: the close time of its last row (null: none) and that row's ticker. */
const Cursor = Schema.fromJsonString(Schema.Tuple([Schema.NullOr(Schema.String), Schema.String]))
const decodeCursor = Schema.decodeUnknownResult(Cursor)
const instant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$/

const readCursor = (text: string) =>
  Base64Url.decodeString(text).pipe(
    Result.flatMap((json) => decodeCursor(json)),
    Result.mapError(() => new BadCursor()),
    Result.filterOrFail(
      ([closeTime, ticker]) =>
        !ticker.includes("\0") &&
        (closeTime === null || (instant.test(closeTime) && !Number.isNaN(Date.parse(closeTime)))),
      () => new BadCursor()
    )
  )

const writeCursor = (row: MarketRow) => Base64Url.encode(JSON.stringify([row.closeTime, row.ticker]))

/** Fewer matches than this are read through the words' index; more are so common that walking the table in its order finds a page soon. */
const rareUpTo = 2_000

/** A quote and the event that it belongs to. */
export interface EventQuote {
  readonly eventTicker: string | null
  readonly quote: MarketQuote
}

type Stored<Row> = Omit<Row, "impliedMid">

const toPage = (rows: ReadonlyArray<Stored<MarketRow>>, limit: number): MarketPage => {
  const markets = rows.slice(0, limit).map(withMid)
  return { markets, next: rows.length > limit ? writeCursor(markets[limit - 1]!) : null }
}

/** Everything the portal reads from the database. No query's cost grows with the history. */
export class PortalQueries extends Context.Service<
  PortalQueries,
  {
    /** Markets that are streamed now, soonest to close first. */
    readonly activeMarkets: (page: PageRequest) => Effect.Effect<MarketPage, BadCursor | SqlError>
    /** Markets past their close, latest first. */
    readonly closedMarkets: (page: PageRequest) => Effect.Effect<MarketPage, BadCursor | SqlError>
    /** Quotes of the active markets of these events, and of these markets. */
    readonly quotesOf: (
      eventTickers: ReadonlyArray<string>,
      tickers: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyArray<EventQuote>, SqlError>
    readonly ages: Effect.Effect<Ages, SqlError>
  }
>()("kalshi-ingestor/portal/PortalQueries") {
  static readonly layerNoDeps = Layer.effect(
    PortalQueries,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient

      const row = sql.literal(`
        e.event_ticker as "eventTicker", e.series_ticker as "seriesTicker", e.title as "eventTitle",
        m.title, m.yes_sub_title as "yesSubTitle", e.strike_period as "strikePeriod",
        rfc3339(m.open_time) as "openTime", rfc3339(m.close_time) as "closeTime",
        nullif(m.result, '') as result, m.settlement_value_dollars::text as "settlementValue",
        case when t.market_id is null then m.rest_yes_bid_dollars else t.yes_bid_dollars end::text as "yesBid",
        case when t.market_id is null then m.rest_yes_ask_dollars else t.yes_ask_dollars end::text as "yesAsk",
        case when t.market_id is null then m.rest_price_dollars else t.price_dollars end::text as "lastPrice",
        case when t.market_id is null then m.rest_volume else t.volume end::text as volume,
        case when t.market_id is null then m.rest_open_interest else t.open_interest end::text as "openInterest",
        rfc3339(t.ts) as "lastTickAt"
      `)
      const latest = sql.literal(`
        left join events e on e.event_ticker = m.event_ticker
        left join market_keys k on k.ticker = m.ticker
        left join ticks_latest t on t.market_id = k.market_id
      `)
      const wordsMatch = (words: string) =>
        sql`and market_search_words(m.ticker, m.title, m.yes_sub_title) @@ to_tsquery('simple', ${words})`
      const ofPeriod = (page: PageRequest) =>
        page.strikePeriod === undefined ? sql`` : sql`and e.strike_period = ${page.strikePeriod}`

      const closedMatching = Effect.fnUntraced(function* (words: string, page: PageRequest) {
        yield* sql`set local enable_seqscan = off`
        yield* sql`set local enable_indexscan = off`
        return yield* sql<{ readonly ticker: string }>`
          select m.ticker from markets m left join events e on e.event_ticker = m.event_ticker
          where market_is_closed(m.status) ${wordsMatch(words)} ${ofPeriod(page)} limit ${rareUpTo + 1}`
      }, transaction(sql))

      const closedSearch = Effect.fnUntraced(function* (words: string, page: PageRequest) {
        const found = yield* closedMatching(words, page)
        return found.length > rareUpTo
          ? wordsMatch(words)
          : sql`and m.ticker = any(${PgTypes.array(
              found.map(({ ticker }) => ticker),
              PgTypes.OID.text
            ).pipe(Result.getOrThrow)})`
      })

      const activeMarkets = Effect.fn("PortalQueries.activeMarkets")(function* (page: PageRequest) {
        const after = page.after === undefined ? undefined : yield* Effect.fromResult(readCursor(page.after))
        const words = searchQuery(page.search)
        const rows = yield* sql<Stored<MarketRow>>`
          select a.ticker, a.status, ${row}
          from active_markets a
          join markets m on m.ticker = a.ticker
          ${latest}
          where true ${words === null ? sql`` : wordsMatch(words)} ${ofPeriod(page)}
          ${
            after === undefined
              ? sql``
              : sql`and (coalesce(m.close_time, 'infinity'), m.ticker) > (coalesce(${after[0]}::timestamptz, 'infinity'), ${after[1]}::text)`
          }
          order by coalesce(m.close_time, 'infinity'), m.ticker
          limit ${page.limit + 1}`
        return toPage(rows, page.limit)
      })

      const closedMarkets = Effect.fn("PortalQueries.closedMarkets")(function* (page: PageRequest) {
        const after = page.after === undefined ? undefined : yield* Effect.fromResult(readCursor(page.after))
        const words = searchQuery(page.search)
        const matching = words === null ? sql`` : yield* closedSearch(words, page)
        const rows = yield* sql<Stored<MarketRow>>`
          select m.ticker, m.status, ${row}
          from markets m
          ${latest}
          where market_is_closed(m.status) ${matching} ${ofPeriod(page)}
          ${
            after === undefined
              ? sql``
              : sql`and (coalesce(m.close_time, '-infinity'), m.ticker) < (coalesce(${after[0]}::timestamptz, '-infinity'), ${after[1]}::text)`
          }
          order by coalesce(m.close_time, '-infinity') desc, m.ticker desc
          limit ${page.limit + 1}`
        return toPage(rows, page.limit)
      })

      const texts = (values: ReadonlyArray<string>) =>
        PgTypes.array([...values], PgTypes.OID.text).pipe(Result.getOrThrow)

      const quotesOf = Effect.fn("PortalQueries.quotesOf")(function* (
        eventTickers: ReadonlyArray<string>,
        tickers: ReadonlyArray<string>
      ) {
        const rows = yield* sql<Stored<MarketQuote> & { readonly eventTicker: string | null }>`
          select a.ticker, a.event_ticker as "eventTicker", a.status, t.yes_bid_dollars::text as "yesBid",
            t.yes_ask_dollars::text as "yesAsk", t.price_dollars::text as "lastPrice", t.volume::text as volume,
            t.open_interest::text as "openInterest", rfc3339(t.ts) as "lastTickAt"
          from active_markets a
          join market_keys k on k.ticker = a.ticker
          join ticks_latest t on t.market_id = k.market_id
          where a.event_ticker = any(${texts(eventTickers)}) or a.ticker = any(${texts(tickers)})`
        return rows.map(({ eventTicker, ...quote }) => ({ eventTicker, quote: withMid(quote) }))
      })

      const ages = sql<Ages>`
        select
          (select count(*) from active_markets)::int as active,
          (select rfc3339(max(t.received_at)) from active_markets a
            join market_keys k on k.ticker = a.ticker join ticks_latest t on t.market_id = k.market_id) as "newestTickAt",
          (select count(*) from capture_gaps where to_ts is null)::int as "openGaps"`.pipe(
        Effect.map((rows) => rows[0]!),
        Effect.withSpan("PortalQueries.ages")
      )

      return PortalQueries.of({ activeMarkets, closedMarkets, quotesOf, ages })
    })
  )
}
