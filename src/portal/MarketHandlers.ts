import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Stream from "effect/Stream"
import { fromMillis, toMillis } from "../market/Timestamp.ts"
import { WorkQueue } from "../queue/WorkQueue.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { MarketDownloads } from "../store/MarketDownloads.ts"
import { type MarketFacts, MarketReads } from "../store/MarketReads.ts"
import { BadRange, Refused } from "./ApiErrors.ts"
import { DownloadSlots } from "./DownloadSlots.ts"
import { exchangeUrl } from "./ExchangeUrl.ts"
import { orNotKnown, orRefused, orUnavailable } from "./Guarded.ts"
import { PortalApi } from "./PortalApi.ts"
import { PortalConfig } from "./PortalConfig.ts"
import { Snapshots } from "./Snapshots.ts"
import { withMid } from "./WithMid.ts"

interface Range {
  readonly from?: string | undefined
  readonly to?: string | undefined
}

const dayMillis = 86_400_000
const chartDays: Readonly<Record<string, number>> = { "1": 2, "60": 60, "1440": 3660 }

/** From the opening of a market until now or its close, as far as nothing else is asked for. */
const spanOf = Effect.fnUntraced(function* (market: MarketFacts, range: Range, nowMillis: number, days: number) {
  const ends = market.closeTime === null ? nowMillis : Math.min(nowMillis, toMillis(market.closeTime) + 60_000)
  const toMillisAt = range.to === undefined ? Math.max(ends, 0) : Date.parse(range.to)
  const opens = market.openTime === null ? 0 : toMillis(market.openTime)
  const fromMillisAt =
    range.from === undefined ? Math.max(opens, toMillisAt - days * dayMillis) : Date.parse(range.from)
  if (range.from !== undefined && range.to !== undefined && fromMillisAt >= toMillisAt)
    return yield* new BadRange({ problem: "`from` is not before `to`" })
  if (toMillisAt - fromMillisAt > days * dayMillis)
    return yield* new BadRange({ problem: `at most ${days} days at a time` })
  return { fromMillis: Math.min(fromMillisAt, toMillisAt), toMillis: toMillisAt }
})

const wholeLife = 3660

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
    const spanAsked = Effect.fnUntraced(function* (ticker: string, range: Range, days = wholeLife) {
      return yield* spanOf(yield* factsOf(ticker), range, yield* time.now, days)
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
          return yield* orUnavailable(reads.ticks(params.ticker, span, query.limit ?? 100))
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
          const { levels, quality } = yield* orUnavailable(reads.book(params.ticker, at))
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
      .handleRaw(
        "download",
        Effect.fnUntraced(function* ({ params, query }) {
          const span = yield* spanAsked(params.ticker, query)
          const format = query.format ?? "ndjson"
          const lines = downloads.lines({
            ticker: params.ticker,
            table: params.table,
            format,
            fromMillis: span.fromMillis,
            toMillis: span.toMillis
          })
          const body = yield* slots.limited(Stream.encodeText(lines))
          return HttpServerResponse.stream(body, {
            contentType: format === "csv" ? "text/csv; charset=utf-8" : "application/x-ndjson",
            headers: {
              "content-disposition": `attachment; filename="${params.ticker.replace(/[^\w.-]/g, "_")}-${params.table}.${format}"`,
              "cache-control": "no-store"
            }
          })
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
