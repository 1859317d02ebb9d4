import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import type { ArchivedTable } from "../store/ArchiveTables.ts"
import { EventReads } from "../store/EventReads.ts"
import { MarketReads } from "../store/MarketReads.ts"
import { MarketSelection } from "../store/MarketSelection.ts"
import { BadRange, CurrentVisitor, NotKnown } from "./ApiErrors.ts"
import type { fileFormats } from "./ApiFields.ts"
import { type ExportTable, seriesDaysAtMost } from "./ExportApi.ts"
import { fileResponse } from "./FileResponse.ts"
import { orNotKnown, orUnavailable } from "./Guarded.ts"
import { PortalApi } from "./PortalApi.ts"
import { type FileWanted, PreparedFiles } from "./PreparedFiles.ts"
import { type Range, spanOf, wholeLife } from "./SpanAsked.ts"

interface Asked extends Range {
  readonly market?: string | undefined
  readonly event?: string | undefined
  readonly series?: string | undefined
  readonly format?: (typeof fileFormats)[number] | undefined
}

const tables: Readonly<Record<ExportTable, ArchivedTable>> = {
  ticks: "ticks",
  candles: "market_candles",
  trades: "trades",
  book_events: "book_events",
  book_snapshots: "book_snapshots"
}

export const ExportHandlers = HttpApiBuilder.group(
  PortalApi,
  "exports",
  Effect.fnUntraced(function* (handlers) {
    const markets = yield* MarketReads
    const events = yield* EventReads
    const selection = yield* MarketSelection
    const files = yield* PreparedFiles
    const time = yield* ExchangeTime

    const rowsOf = Effect.fnUntraced(function* ({ event, market, series, ...range }: Asked) {
      if ([event, market, series].filter((one) => one !== undefined).length !== 1)
        return yield* new BadRange({ problem: "give one of `market`, `event` and `series`" })
      const now = yield* time.now
      if (market !== undefined) {
        const facts = yield* orNotKnown(markets.facts(market))
        return { tickers: [market], ...(yield* spanOf(facts, range, now, wholeLife)) }
      }
      if (event !== undefined) {
        const facts = yield* orNotKnown(events.facts(event))
        const outcomes = yield* orUnavailable(events.outcomes(event))
        return {
          tickers: outcomes.map(({ ticker }) => ticker),
          ...(yield* spanOf(facts, range, now, wholeLife))
        }
      }
      if (range.from === undefined || range.to === undefined)
        return yield* new BadRange({ problem: "with `series`, give `from` and `to`" })
      if (!(yield* orUnavailable(selection.hasSeries(series!)))) return yield* new NotKnown()
      return {
        series: [series!],
        ...(yield* spanOf({ openTime: null, closeTime: null }, range, now, seriesDaysAtMost))
      }
    })

    const wantedOf = Effect.fnUntraced(function* (table: ExportTable, query: Asked) {
      const format = query.format ?? "parquet"
      const rows = yield* rowsOf(query)
      return {
        name: JSON.stringify(["export", table, query.market, query.event, query.series, query.from, query.to, format]),
        query: { table: tables[table], format, ...rows }
      } satisfies FileWanted
    })

    return handlers
      .handleRaw(
        "file",
        Effect.fnUntraced(function* ({ params, query }) {
          const wanted = yield* wantedOf(params.table, query)
          const { body, bytes } = yield* files.fetch(yield* CurrentVisitor, wanted)
          const about = query.market ?? query.event ?? query.series ?? ""
          const days = [query.from, query.to].filter((day) => day !== undefined).map((day) => day.slice(0, 10))
          return fileResponse([about, params.table, ...days].join("-"), wanted.query.format, body, bytes)
        })
      )
      .handle(
        "progress",
        Effect.fnUntraced(function* ({ params, query }) {
          return yield* files.progress(yield* CurrentVisitor, yield* wantedOf(params.table, query))
        })
      )
  })
)
