import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Decimal } from "../market/Decimal.ts"
import { fromMillis, type Timestamp } from "../market/Timestamp.ts"
import { searchQuery } from "./SearchWords.ts"
import { transaction } from "./Transaction.ts"

export const cardSections = ["active", "scheduled", "closed"] as const
export type CardSection = (typeof cardSections)[number]

export const cardSorts = ["close_time", "open_time", "title", "category", "strike_period", "market_count"] as const
export type CardSort = (typeof cardSorts)[number]

export const cardStatuses = ["open", "paused", "scheduled", "closed", "settled"] as const
export type CardStatus = (typeof cardStatuses)[number]

/** One event as lists show it. A null number is not known; zero is zero. */
export interface EventCard {
  readonly eventTicker: string
  readonly seriesTicker: string | null
  readonly title: string | null
  readonly subTitle: string | null
  readonly category: string
  readonly strikePeriod: string
  readonly status: CardStatus
  readonly openTime: Timestamp | null
  readonly closeTime: Timestamp | null
  readonly markets: number
  readonly settled: number
  readonly complete: boolean
  readonly outcome: string | null
  readonly leaderTicker: string | null
  readonly leaderName: string | null
  readonly leaderMid: Decimal | null
  readonly forecast: Decimal | null
  readonly volume: Decimal | null
  readonly quotedAt: Timestamp | null
}

export interface CardQuery {
  readonly section: CardSection
  readonly sort: CardSort
  readonly descending: boolean
  readonly limit: number
  readonly after?: string | undefined
  readonly search?: string | undefined
  readonly categories?: ReadonlyArray<string> | undefined
  readonly strikePeriod?: string | undefined
  readonly status?: CardStatus | undefined
  /** Epoch milliseconds, both inclusive. */
  readonly closesFromMillis?: number | undefined
  readonly closesToMillis?: number | undefined
}

export interface CardPage {
  readonly events: ReadonlyArray<EventCard>
  readonly next: string | null
}

export interface CardCount {
  readonly section: CardSection
  readonly category: string
  readonly strikePeriod: string
  readonly status: CardStatus
  readonly complete: boolean
  readonly events: number
  readonly markets: number
  readonly settled: number
}

/** What of a card moves with the ticks. */
export interface CardQuote {
  readonly eventTicker: string
  readonly leaderName: string | null
  readonly leaderMid: Decimal | null
  readonly volume: Decimal | null
  readonly quotedAt: Timestamp | null
}

/** A cursor that `list` did not give, or gave for another order. */
export class StrangeCursor extends Schema.TaggedError<StrangeCursor>()("StrangeCursor", {}) {}

const Cursor = Schema.fromJsonString(Schema.Tuple([Schema.String, Schema.String, Schema.String]))
const decodeCursor = Schema.decodeUnknownResult(Cursor)

const isTime = (text: string) =>
  /^-?infinity$/.test(text) ||
  (/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00$/.test(text) &&
    !Number.isNaN(Date.parse(text.replace(/\+00$/, "Z"))))
const isText = (text: string) => !text.includes("\0")

interface Order {
  readonly key: (section: CardSection) => string
  readonly type: string
  readonly isKey: (text: string) => boolean
}

const textOrder = (key: string): Order => ({ key: () => key, type: "text", isKey: isText })

const orders: Readonly<Record<CardSort, Order>> = {
  close_time: {
    key: (section) => (section === "closed" ? "far_past(c.close_time)" : "far_future(c.close_time)"),
    type: "timestamptz",
    isKey: isTime
  },
  open_time: { key: () => "far_future(c.open_time)", type: "timestamptz", isKey: isTime },
  title: textOrder("coalesce(c.title, '')"),
  category: textOrder("c.category"),
  strike_period: textOrder("c.strike_period"),
  market_count: { key: () => "c.markets", type: "integer", isKey: (text) => /^\d{1,9}$/.test(text) }
}

const readCursor = (query: CardQuery, text: string) =>
  Base64Url.decodeString(text).pipe(
    Result.flatMap((json) => decodeCursor(json)),
    Result.filterOrFail(
      ([sort, key, ticker]) => sort === query.sort && orders[query.sort].isKey(key) && isText(ticker),
      () => new StrangeCursor()
    ),
    Result.mapError(() => new StrangeCursor())
  )

/** Fewer matches than this are read through the words' index; more are so common that walking the list in its order finds a page soon. */
const rareUpTo = 2_000

const texts = (values: ReadonlyArray<string>) => PgTypes.array([...values], PgTypes.OID.text).pipe(Result.getOrThrow)

/** Lists of events, and what keeps them up to date. No query's cost grows with the history. */
export class EventCards extends Context.Service<
  EventCards,
  {
    readonly list: (query: CardQuery) => Effect.Effect<CardPage, StrangeCursor | SqlError>
    readonly counts: Effect.Effect<ReadonlyArray<CardCount>, SqlError>
    /** Quotes of active events that changed at or after an instant of this server's clock, and when the newest changed. */
    readonly quotesSince: (
      sinceMillis: number
    ) => Effect.Effect<{ readonly quotes: ReadonlyArray<CardQuote>; readonly newestMillis: number }, SqlError>
    /** Works off up to so many notes of changed events; how many there were. Nothing when another process is at it. */
    readonly refresh: (most: number) => Effect.Effect<number, SqlError>
    /** Brings the quotes of active events up to date unless somebody did within `everyMillis`; how many changed. */
    readonly refreshQuotes: (everyMillis: number) => Effect.Effect<number, SqlError>
    /** Counts the coverage of one day anew; whether there was one to do. */
    readonly refreshCoverageDay: Effect.Effect<boolean, SqlError>
  }
>()("kalshi-ingestor/store/EventCards") {
  static readonly layer = Layer.effect(
    EventCards,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient

      const shown = sql.literal(`
        c.event_ticker as "eventTicker", c.series_ticker as "seriesTicker", c.title, c.sub_title as "subTitle", c.category,
        c.strike_period as "strikePeriod", c.status, rfc3339(c.open_time) as "openTime", rfc3339(c.close_time) as "closeTime",
        c.markets, c.settled, c.is_complete as complete, c.outcome,
        q.leader_ticker as "leaderTicker", q.leader_name as "leaderName", q.leader_mid::text as "leaderMid",
        trim_scale(round(p.yes_prob, 6))::text as forecast, q.volume::text as volume, rfc3339(q.quoted_at) as "quotedAt"`)
      const beside = sql.literal(`
        left join event_quotes q on q.event_ticker = c.event_ticker
        left join lateral (
          select p.yes_prob from market_predictions p where p.market_ticker = q.leader_ticker and p.not_scored is null
          order by p.predicted_at desc, p.id desc limit 1) p on true`)

      const rareMatches = Effect.fnUntraced(function* (section: CardSection, words: string) {
        yield* sql`set local enable_seqscan = off`
        yield* sql`set local enable_indexscan = off`
        return yield* sql<{ readonly ticker: string }>`
          select c.event_ticker as ticker from event_cards c
          where c.section = ${section} and c.words @@ to_tsquery('simple', ${words}) limit ${rareUpTo + 1}`
      }, transaction(sql))

      const matching = Effect.fnUntraced(function* (query: CardQuery) {
        const words = searchQuery(query.search)
        if (words === null) return sql``
        const all = sql`and c.words @@ to_tsquery('simple', ${words})`
        if (query.section !== "closed") return all
        const found = yield* rareMatches(query.section, words)
        return found.length > rareUpTo
          ? all
          : sql`and c.event_ticker = any(${texts(found.map(({ ticker }) => ticker))})`
      })

      const list = Effect.fn("EventCards.list")(function* (query: CardQuery) {
        const after = query.after === undefined ? undefined : yield* Effect.fromResult(readCursor(query, query.after))
        const order = orders[query.sort]
        const key = sql.literal(order.key(query.section))
        const type = sql.literal(order.type)
        const way = sql.literal(query.descending ? "desc" : "asc")
        const beyond = sql.literal(query.descending ? "<" : ">")
        const match = yield* matching(query)
        const filters = sql`
          c.section = ${query.section} ${match}
          ${query.status === undefined ? sql`` : sql`and c.status = ${query.status}`}
          ${query.closesFromMillis === undefined ? sql`` : sql`and c.close_time >= ${fromMillis(query.closesFromMillis)}::timestamptz`}
          ${query.closesToMillis === undefined ? sql`` : sql`and c.close_time <= ${fromMillis(query.closesToMillis)}::timestamptz`}
          ${after === undefined ? sql`` : sql`and (${key}, c.event_ticker) ${beyond} (${after[1]}::text::${type}, ${after[2]}::text)`}`
        const ofKind = sql`
          ${query.categories === undefined ? sql`` : sql`and c.category = any(${texts(query.categories)})`}
          ${query.strikePeriod === undefined ? sql`` : sql`and c.strike_period = ${query.strikePeriod}`}`
        const sorted = sql`order by ${key} ${way}, c.event_ticker ${way} limit ${query.limit + 1}`
        const narrowed = query.categories !== undefined || query.strikePeriod !== undefined
        // Of a long history, each kind gives its own page by its own index, and the best of them are the page.
        const page =
          narrowed && query.section === "closed" && query.sort === "close_time"
            ? sql`
              select c.* from (
                select distinct c.category, c.strike_period from event_counts c
                where c.section = ${query.section} and c.events > 0 ${ofKind}) kind
              cross join lateral (
                select c.* from event_cards c
                where c.category = kind.category and c.strike_period = kind.strike_period and ${filters} ${sorted}) c
              ${sorted}`
            : sql`select c.* from event_cards c where ${filters} ${ofKind} ${sorted}`
        const rows = yield* sql<EventCard & { readonly sortKey: string }>`
          select ${shown}, (${key})::text as "sortKey" from (${page}) c ${beside} order by ${key} ${way}, c.event_ticker ${way}`
        const events = rows.slice(0, query.limit)
        const last = events.at(-1)
        return {
          events: events.map(({ sortKey: _, ...card }) => card),
          next:
            rows.length > query.limit && last !== undefined
              ? Base64Url.encode(JSON.stringify([query.sort, last.sortKey, last.eventTicker]))
              : null
        }
      })

      const counts = sql<CardCount>`
        select section, category, strike_period as "strikePeriod", status, is_complete as complete,
          events::int as events, markets::int as markets, settled::int as settled
        from event_counts where events > 0`.pipe(Effect.withSpan("EventCards.counts"))

      const quotesSince = Effect.fn("EventCards.quotesSince")(function* (sinceMillis: number) {
        const rows = yield* sql<CardQuote & { readonly changedMillis: number }>`
          select q.event_ticker as "eventTicker", q.leader_name as "leaderName", q.leader_mid::text as "leaderMid",
            q.volume::text as volume, rfc3339(q.quoted_at) as "quotedAt",
            (extract(epoch from q.updated_at) * 1000)::float8 as "changedMillis"
          from event_cards c join event_quotes q using (event_ticker)
          where c.section = 'active' and q.updated_at >= to_timestamp(${sinceMillis}::float8 / 1000)`
        return {
          quotes: rows.map(({ changedMillis: _, ...quote }) => quote),
          newestMillis: rows.reduce((newest, { changedMillis }) => Math.max(newest, changedMillis), sinceMillis)
        }
      })

      const refresh = Effect.fn("EventCards.refresh")(function* (most: number) {
        const rows = yield* sql<{ readonly n: number }>`select refresh_event_cards(${most}::int) as n`
        return rows[0]!.n
      })
      const refreshQuotes = Effect.fn("EventCards.refreshQuotes")(function* (everyMillis: number) {
        const rows = yield* sql<{
          readonly n: number
        }>`select refresh_active_quotes(${`${everyMillis} milliseconds`}::interval) as n`
        return rows[0]!.n
      })
      const refreshCoverageDay = sql<{ readonly done: boolean }>`select refresh_coverage_day() as done`.pipe(
        Effect.map((rows) => rows[0]!.done),
        Effect.withSpan("EventCards.refreshCoverageDay")
      )

      return EventCards.of({ list, counts, quotesSince, refresh, refreshQuotes, refreshCoverageDay })
    })
  )
}
