import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Stream from "effect/Stream"
import { fromMillis } from "../market/Timestamp.ts"
import { WorkQueue } from "../queue/WorkQueue.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { ArchivedBooks } from "../store/ArchivedBooks.ts"
import { ArchivedDays } from "../store/ArchivedDays.ts"
import { ArchivedTicks } from "../store/ArchivedTicks.ts"
import { archivedTables } from "../store/ArchiveTables.ts"
import { type DownloadTable, exported, MarketDownloads } from "../store/MarketDownloads.ts"
import { MarketReads, type Span } from "../store/MarketReads.ts"
import { CurrentVisitor, Refused } from "./ApiErrors.ts"
import type { fileFormats } from "./ApiFields.ts"
import { archivedOnly, shownDay } from "./ArchivedShown.ts"
import { DownloadSlots } from "./DownloadSlots.ts"
import { exchangeUrl } from "./ExchangeUrl.ts"
import { fileResponse } from "./FileResponse.ts"
import { orNotKnown, orRefused, orUnavailable } from "./Guarded.ts"
import { PortalApi } from "./PortalApi.ts"
import { PortalConfig } from "./PortalConfig.ts"
import { type FileWanted, PreparedFiles } from "./PreparedFiles.ts"
import { Snapshots } from "./Snapshots.ts"
import { type Range, spanOf, wholeLife } from "./SpanAsked.ts"
import { withMid } from "./WithMid.ts"

const chartDays: Readonly<Record<string, number>> = { "1": 2, "60": 60, "1440": 3660 }

interface DownloadAsked {
  readonly ticker: string
  readonly table: DownloadTable
}

export const MarketHandlers = HttpApiBuilder.group(
  PortalApi,
  "market",
  Effect.fnUntraced(function* (handlers) {
    const reads = yield* MarketReads
    const downloads = yield* MarketDownloads
    const slots = yield* DownloadSlots
    const snapshots = yield* Snapshots
    const config = yield* PortalConfig
    const time = yield* ExchangeTime
    const known = yield* Cache.make({
      capacity: 1_000,
      timeToLive: "1 second",
      lookup: (ticker: string) => reads.facts(ticker)
    })
    const factsOf = (ticker: string) => orNotKnown(Cache.get(known, ticker))
    const archivedDays = yield* ArchivedDays
    const archivedTicks = yield* ArchivedTicks
    const archivedBooks = yield* ArchivedBooks
    const files = yield* PreparedFiles
    const spanAsked = Effect.fnUntraced(function* (ticker: string, range: Range, days = wholeLife) {
      return yield* spanOf(yield* factsOf(ticker), range, yield* time.now, days)
    })

    const goneOf = ({ table, ticker }: DownloadAsked, span: Span) =>
      archivedDays.gone({ ...span, tables: [exported(table).table], tickers: [ticker] })
    const wantedOf = Effect.fnUntraced(function* (
      asked: DownloadAsked,
      query: Range & { readonly format?: (typeof fileFormats)[number] | undefined }
    ) {
      const span = yield* spanAsked(asked.ticker, query)
      const format = query.format ?? "ndjson"
      const { columns, table } = exported(asked.table)
      const wanted: FileWanted = {
        name: JSON.stringify(["market", asked.ticker, table, query.from, query.to, format]),
        query: {
          table,
          tickers: [asked.ticker],
          format,
          fromMillis: span.fromMillis,
          toMillis: span.toMillis,
          // Text is the same wherever the rows are; Parquet has the types of the archive.
          ...(format === "parquet" ? {} : { columns })
        }
      }
      return { format, span, wanted, gone: yield* orUnavailable(goneOf(asked, span)) }
    })

    return handlers
      .handle(
        "get",
        Effect.fnUntraced(function* ({ params }) {
          const facts = yield* factsOf(params.ticker)
          return {
            ...withMid(facts),
            exchangeUrl: time.simulated ? null : exchangeUrl(config.marketUrl, facts),
            canSnapshot: (yield* snapshots.refusal(facts)) === undefined,
            canBackfill: config.backfillMode === "queue"
          }
        })
      )
      .handle(
        "candles",
        Effect.fnUntraced(function* ({ params, query }) {
          const interval = query.interval ?? "1"
          const span = yield* spanAsked(params.ticker, query, chartDays[interval])
          return yield* orUnavailable(reads.candles(params.ticker, span, Number(interval) as 1 | 60 | 1440))
        })
      )
      .handle(
        "ticks",
        Effect.fnUntraced(function* ({ params, query }) {
          const span = yield* spanAsked(params.ticker, query)
          const { ticks, unread } = yield* orUnavailable(archivedTicks.newest(params.ticker, span, query.limit ?? 100))
          return unread === undefined ? ticks : yield* archivedOnly(unread)
        })
      )
      .handle(
        "trades",
        Effect.fnUntraced(function* ({ params, query }) {
          const span = yield* spanAsked(params.ticker, query)
          return yield* orUnavailable(reads.trades(params.ticker, span, query.limit ?? 100))
        })
      )
      .handle(
        "gaps",
        Effect.fnUntraced(function* ({ params, query }) {
          const span = yield* spanAsked(params.ticker, query)
          return yield* orUnavailable(reads.gaps(params.ticker, span))
        })
      )
      .handle(
        "book",
        Effect.fnUntraced(function* ({ params, query }) {
          yield* factsOf(params.ticker)
          const at = query.at === undefined ? yield* time.now : Date.parse(query.at)
          const { levels, quality, unread } = yield* orUnavailable(archivedBooks.at(params.ticker, at))
          if (unread !== undefined) return yield* archivedOnly(unread)
          return { at: fromMillis(at), ...quality, levels }
        })
      )
      .handle(
        "lifecycle",
        Effect.fnUntraced(function* ({ params }) {
          yield* factsOf(params.ticker)
          return yield* orUnavailable(reads.life(params.ticker))
        })
      )
      .handle(
        "predictions",
        Effect.fnUntraced(function* ({ params, query }) {
          yield* factsOf(params.ticker)
          return yield* orUnavailable(reads.predictions(params.ticker, query.limit ?? 10))
        })
      )
      .handle(
        "archived",
        Effect.fnUntraced(function* ({ params, query }) {
          const span = yield* spanAsked(params.ticker, query)
          const days = yield* orUnavailable(
            archivedDays.gone({ ...span, tables: archivedTables, tickers: [params.ticker] })
          )
          return { days: days.map(shownDay), problem: (yield* archivedDays.trouble(days)) ?? null }
        })
      )
      .handleRaw(
        "download",
        Effect.fnUntraced(function* ({ params, query }) {
          const { format, gone, span, wanted } = yield* wantedOf(params, query)
          const name = `${params.ticker}-${params.table}`
          if (format === "parquet" || gone.length > 0) {
            const { body, bytes } = yield* files.fetch(yield* CurrentVisitor, wanted)
            return fileResponse(name, format, body, bytes)
          }
          const lines = downloads.lines({
            ticker: params.ticker,
            table: params.table,
            format,
            fromMillis: span.fromMillis,
            toMillis: span.toMillis
          })
          // What left between our look and the first row is not in the answer: better no end than a wrong one.
          const nothingLeft = Effect.filterOrFail(
            goneOf(params, span),
            (days) => days.length === 0,
            (days) => archivedOnly({ days, problem: "it left the database while this was read; ask again" })
          )
          const body = yield* slots.limited(
            Stream.concat(Stream.encodeText(lines), Stream.fromEffectDrain(nothingLeft))
          )
          return fileResponse(name, format, body)
        })
      )
      .handle(
        "downloadProgress",
        Effect.fnUntraced(function* ({ params, query }) {
          const { format, gone, wanted } = yield* wantedOf(params, query)
          return format === "parquet" || gone.length > 0
            ? yield* files.progress(yield* CurrentVisitor, wanted)
            : { state: "ready" as const, rows: 0, bytes: null }
        })
      )
  })
)

/** A person waits for it. */
const urgency = 1

export const ActionHandlers = HttpApiBuilder.group(
  PortalApi,
  "actions",
  Effect.fnUntraced(function* (handlers) {
    const reads = yield* MarketReads
    const queue = yield* WorkQueue
    const snapshots = yield* Snapshots
    const config = yield* PortalConfig
    const factsOf = (ticker: string) => orNotKnown(reads.facts(ticker))
    return handlers.handleAll({
      snapshot: Effect.fnUntraced(function* ({ params }) {
        yield* orUnavailable(snapshots.take(yield* factsOf(params.ticker)))
        return { done: true, said: "the quote was read from the exchange" }
      }),
      backfill: Effect.fnUntraced(function* ({ params }) {
        if (config.backfillMode === "disabled")
          return yield* new Refused({ problem: "backfills are not offered here; WEB_PORTAL_BACKFILL_MODE=queue does" })
        const { ticker } = yield* factsOf(params.ticker)
        const { entered } = yield* orRefused(
          orUnavailable(
            queue.enqueue([
              {
                type: "backfill_market",
                payload: { tickers: [ticker], force_full: true },
                key: `portal:${ticker}`,
                priority: urgency
              }
            ])
          )
        )
        return entered === 0
          ? { done: false, said: "a backfill of this market waits already" }
          : { done: true, said: "a backfill of this market waits for a worker" }
      })
    })
  })
)
