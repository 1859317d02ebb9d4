import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { fromMillis, toMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { type CardQuery, EventCards } from "../store/EventCards.ts"
import { EventReads, type ForecastPoint } from "../store/EventReads.ts"
import { BadCursor, BadRange } from "./ApiErrors.ts"
import type { closeWindows, ForecastLine } from "./EventsApi.ts"
import { exchangeUrl } from "./ExchangeUrl.ts"
import { orNotKnown, orUnavailable } from "./Guarded.ts"
import { PortalApi } from "./PortalApi.ts"
import { PortalConfig } from "./PortalConfig.ts"
import { Snapshots } from "./Snapshots.ts"
import { withMid } from "./WithMid.ts"

const windowMillis: Readonly<Record<(typeof closeWindows)[number], number>> = {
  "15m": 15 * 60_000,
  "1h": 3_600_000,
  "4h": 4 * 3_600_000,
  "8h": 8 * 3_600_000,
  "24h": 24 * 3_600_000
}

const linesOf = (points: ReadonlyArray<ForecastPoint>): ReadonlyArray<ForecastLine> => {
  const lines = new Map<string, Array<readonly [number, number]>>()
  for (const { seconds, ticker, value } of points) {
    const line = lines.get(ticker)
    if (line === undefined) lines.set(ticker, [[seconds, value]])
    else line.push([seconds, value])
  }
  return [...lines].map(([ticker, points]) => ({ ticker, points }))
}

const longestForecastMillis = 31 * 86_400_000

export const EventsHandlers = HttpApiBuilder.group(
  PortalApi,
  "events",
  Effect.fnUntraced(function* (handlers) {
    const cards = yield* EventCards
    const reads = yield* EventReads
    const config = yield* PortalConfig
    const snapshots = yield* Snapshots
    const time = yield* ExchangeTime

    // What everybody looks at is read once a second however many look.
    const pages = yield* Cache.make({
      capacity: 500,
      timeToLive: "1 second",
      lookup: (key: string) => cards.list(JSON.parse(key) as CardQuery)
    })
    const outcomesOf = yield* Cache.make({
      capacity: 500,
      timeToLive: "1 second",
      lookup: (eventTicker: string) => reads.outcomes(eventTicker)
    })
    const forecasts = yield* Cache.make({
      capacity: 200,
      timeToLive: "5 seconds",
      lookup: (key: string) => reads.forecast(JSON.parse(key) as Parameters<typeof reads.forecast>[0])
    })
    const counts = yield* Effect.cachedWithTTL(cards.counts, "1 second")

    const factsOf = (eventTicker: string) => orNotKnown(reads.facts(eventTicker))

    return handlers.handleAll({
      list: Effect.fnUntraced(function* ({ query }) {
        const section = query.section ?? "active"
        const sort = query.sort ?? "close_time"
        const now = Math.floor((yield* time.now) / 1000) * 1000
        const within = query.closeWindow === undefined ? undefined : windowMillis[query.closeWindow]
        const asked: CardQuery = {
          section,
          sort,
          descending:
            query.order === undefined ? section === "closed" && sort === "close_time" : query.order === "desc",
          limit: query.limit ?? config.limit,
          after: query.after,
          search: query.search,
          categories: query.category?.split("|"),
          strikePeriod: query.strikePeriod,
          status: query.status,
          ...(within === undefined
            ? {}
            : section === "closed"
              ? { closesFromMillis: now - within }
              : { closesToMillis: now + within })
        }
        return yield* Cache.get(pages, JSON.stringify(asked)).pipe(
          Effect.catchTag("StrangeCursor", () => Effect.fail(new BadCursor())),
          orUnavailable
        )
      }),
      counts: () => orUnavailable(counts),
      get: Effect.fnUntraced(function* ({ params }) {
        const facts = yield* factsOf(params.eventTicker)
        const outcomes = yield* orUnavailable(Cache.get(outcomesOf, params.eventTicker))
        return {
          ...facts,
          exchangeUrl: time.simulated ? null : exchangeUrl(config.eventUrl, facts),
          canSnapshot: (yield* snapshots.wanted(outcomes)).length > 0,
          autoSnapshotSeconds: config.autoSnapshotSeconds,
          outcomes: outcomes.map(withMid)
        }
      }),
      forecast: Effect.fnUntraced(function* ({ params, query }) {
        const facts = yield* factsOf(params.eventTicker)
        const now = Math.floor((yield* time.now) / 10_000) * 10_000
        const toMillisAt =
          query.to === undefined
            ? Math.min(now, facts.closeTime === null ? now : toMillis(facts.closeTime))
            : Date.parse(query.to)
        const day = toMillisAt - 86_400_000
        const fromMillisAt =
          query.from === undefined
            ? Math.max(facts.openTime === null ? day : toMillis(facts.openTime), toMillisAt - 7 * 86_400_000)
            : Date.parse(query.from)
        if (query.from !== undefined && query.to !== undefined && fromMillisAt >= toMillisAt)
          return yield* new BadRange({ problem: "`from` is not before `to`" })
        if (toMillisAt - fromMillisAt > longestForecastMillis)
          return yield* new BadRange({ problem: "at most 31 days" })
        const from = Math.min(fromMillisAt, toMillisAt)
        const points = yield* orUnavailable(
          Cache.get(
            forecasts,
            JSON.stringify({
              eventTicker: params.eventTicker,
              fromMillis: from,
              toMillis: toMillisAt,
              points: query.points ?? 200,
              lines: query.lines ?? 8
            })
          )
        )
        return { from: fromMillis(from), to: fromMillis(toMillisAt), lines: linesOf(points) }
      })
    })
  })
)

export const EventActionHandlers = HttpApiBuilder.group(
  PortalApi,
  "eventActions",
  Effect.fnUntraced(function* (handlers) {
    const reads = yield* EventReads
    const snapshots = yield* Snapshots
    return handlers.handleAll({
      snapshot: Effect.fnUntraced(function* ({ params }) {
        yield* orNotKnown(reads.facts(params.eventTicker))
        const outcomes = yield* orUnavailable(reads.outcomes(params.eventTicker))
        const { absent, read } = yield* orUnavailable(snapshots.takeEvent(params.eventTicker, outcomes))
        const left = absent === 0 ? "" : `; the exchange gave none of ${absent}`
        return {
          done: true,
          said: `${read === 1 ? "1 quote was" : `${read} quotes were`} read from the exchange${left}`
        }
      })
    })
  })
)
