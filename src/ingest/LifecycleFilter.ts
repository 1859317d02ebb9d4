import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import type { Event } from "../market/Event.ts"
import { type Lifecycle, statusAfter } from "../market/Lifecycle.ts"
import type { Market } from "../market/Market.ts"
import * as StrikePeriod from "../market/StrikePeriod.ts"
import * as Setting from "../runtime/Setting.ts"
import type { SettingError } from "../runtime/SettingError.ts"
import { Catalog, type ClassifiedEvent } from "../store/Catalog.ts"
import * as IngestConfig from "./IngestConfig.ts"

/** What of a run of lifecycle messages concerns the markets we record. */
export interface WantedLifecycle {
  readonly messages: ReadonlyArray<Lifecycle>
  /** About markets that the catalog does not know, yet or ever. */
  readonly unknown: ReadonlyArray<Lifecycle>
  readonly events: ReadonlyArray<ClassifiedEvent>
  readonly markets: ReadonlyArray<Market>
  /** To be run once all of it is stored: what was kept for these events is not needed any more. */
  readonly settle: Effect.Effect<void>
}

/** Event announcements kept until one of their markets tells their period. */
const pendingLimit = 20_000

/**
 * The lifecycle feed speaks of every market of the exchange. This keeps what concerns markets of a wanted strike period, and tells
 * the period of an event that is first heard of here.
 */
export class LifecycleFilter extends Context.Service<
  LifecycleFilter,
  {
    select(messages: ReadonlyArray<Lifecycle>): Effect.Effect<WantedLifecycle, SqlError>
  }
>()("kalshi-ingestor/ingest/LifecycleFilter") {
  static readonly layer: Layer.Layer<LifecycleFilter, SettingError, Catalog> = Layer.effect(
    LifecycleFilter,
    Effect.gen(function* () {
      const catalog = yield* Catalog
      const { dayMaxHours, hourMaxHours, periods } = yield* Setting.read(IngestConfig.strikePeriods)
      const wanted = new Set(periods.map((period) => StrikePeriod.normalize(period) ?? period))
      const frequencies = yield* Effect.cachedWithTTL(catalog.seriesFrequencies, "5 minutes")
      const pending = new Map<string, Event>()

      const remember = (event: Event) => {
        pending.set(event.eventTicker, { ...pending.get(event.eventTicker), ...event })
        const [oldest] = pending.keys()
        if (pending.size > pendingLimit && oldest !== undefined) pending.delete(oldest)
      }

      const select = Effect.fnUntraced(function* (messages: ReadonlyArray<Lifecycle>) {
        if (messages.length === 0) return { messages: [], unknown: [], events: [], markets: [], settle: Effect.void }
        const created = new Map<string, Array<Market>>()
        const announced = new Set<string>()
        for (const message of messages) {
          if (message._tag === "EventLifecycle") {
            announced.add(message.ticker)
            remember(message.event)
          } else if (message.market.eventTicker !== undefined) {
            const eventTicker = message.market.eventTicker
            created.set(eventTicker, [...(created.get(eventTicker) ?? []), message.market])
          }
        }
        const seriesFrequency = yield* frequencies
        const eventTickers = [...new Set([...announced, ...created.keys()])]
        const periodOf = new Map(yield* catalog.strikePeriods(eventTickers))
        const events: Array<ClassifiedEvent> = []
        for (const eventTicker of eventTickers) {
          const known: Event = pending.get(eventTicker) ?? { eventTicker }
          const seriesTicker = known.seriesTicker ?? eventTicker.split("-")[0]!
          const { markets: _, ...event } = { ...known, seriesTicker }
          const strikePeriod =
            periodOf.get(eventTicker) ??
            StrikePeriod.infer(
              { ...event, markets: created.get(eventTicker) ?? [] },
              seriesFrequency.get(seriesTicker),
              {
                hourMaxHours,
                dayMaxHours
              }
            )
          if (strikePeriod === undefined || !wanted.has(strikePeriod)) continue
          if (!periodOf.has(eventTicker) && !created.has(eventTicker)) continue
          periodOf.set(eventTicker, strikePeriod)
          events.push({ event, strikePeriod })
        }
        const wantedEvents = new Set([...periodOf].flatMap(([ticker, period]) => (wanted.has(period) ? [ticker] : [])))
        const marketTickers = messages.flatMap((message) =>
          message._tag === "MarketLifecycle" ? [message.ticker] : []
        )
        const known = new Set(yield* catalog.knownMarkets(marketTickers))
        const kept = messages.filter((message) => {
          if (message._tag === "EventLifecycle") return wantedEvents.has(message.ticker)
          const { eventTicker } = message.market
          if (eventTicker !== undefined && wantedEvents.has(eventTicker)) known.add(message.ticker)
          return known.has(message.ticker)
        })
        const unknown = messages.filter(
          (message) =>
            message._tag === "MarketLifecycle" && message.market.eventTicker === undefined && !known.has(message.ticker)
        )
        const markets = kept.flatMap((message): ReadonlyArray<Market> => {
          if (message._tag === "EventLifecycle") return []
          const status = message.market.status ?? statusAfter(message.kind)
          return [status === undefined ? message.market : { ...message.market, status }]
        })
        const settle = Effect.sync(() => {
          for (const { event } of events) pending.delete(event.eventTicker)
        })
        return { messages: kept, unknown, events, markets, settle }
      })
      return LifecycleFilter.of({ select })
    })
  )
}
