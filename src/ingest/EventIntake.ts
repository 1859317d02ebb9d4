import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type { SqlError } from "effect/sql/SqlError"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import type { KalshiRestError } from "../kalshi/KalshiRestError.ts"
import type { Event } from "../market/Event.ts"
import type { Market } from "../market/Market.ts"
import * as StrikePeriod from "../market/StrikePeriod.ts"
import { fromMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import type { NotOurs } from "../runtime/Guardrails.ts"
import * as Setting from "../runtime/Setting.ts"
import type { SettingError } from "../runtime/SettingError.ts"
import { Catalog, type ClassifiedEvent } from "../store/Catalog.ts"
import { IngestState } from "../store/IngestState.ts"
import { MarketCompletion } from "../store/MarketCompletion.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import * as IngestConfig from "./IngestConfig.ts"

const combos = Metric.counter("multivariate_events", {
  description: "Combos that the exchange listed, by whether they are recorded",
  incremental: true
})

/** What of some events was wanted and stored. */
export interface Intake {
  /** Events and markets that were new or changed. */
  readonly changed: number
  readonly markets: ReadonlyArray<Market>
}

/** The exchange stamps updates a little after they happen. */
const overlapSeconds = 120
const seriesKey = "discovery_series_until"
/** Series that are saved by one statement. */
const seriesAtOnce = 1000

const isMultivariate = (event: Event): boolean =>
  event.eventTicker.startsWith("KXMVE") || (event.markets ?? []).some((market) => market.isMultivariate === true)

/** Lets in the events that are recorded, with their markets: of the wanted strike periods, and combos only when they are asked for. */
export class EventIntake extends Context.Service<
  EventIntake,
  {
    readonly strikePeriods: ReadonlyArray<string>
    readonly includeMultivariate: boolean
    /** Reads the series that were updated since the last time; at first all of them. Without them some events have no period. */
    readonly refreshSeries: Effect.Effect<void, KalshiRestError | NotOurs | SqlError>
    /** `frequencies`: of the series. */
    classify(events: ReadonlyArray<Event>, frequencies: ReadonlyMap<string, string>): ReadonlyArray<ClassifiedEvent>
    /** Stores what is wanted of these events. `readAtMillis`: exchange time at which they were read. */
    save(
      events: ReadonlyArray<Event>,
      frequencies: ReadonlyMap<string, string>,
      readAtMillis: number
    ): Effect.Effect<Intake, SqlError>
    /** The like for combos, which are listed as markets: of their event no more than its ticker is known. */
    saveMultivariate(markets: ReadonlyArray<Market>, readAtMillis: number): Effect.Effect<Intake, SqlError>
  }
>()("kalshi-ingestor/ingest/EventIntake") {
  static readonly layer: Layer.Layer<
    EventIntake,
    SettingError,
    Catalog | MarketCompletion | KalshiRest | IngestState | ExchangeTime
  > = Layer.effect(
    EventIntake,
    Effect.gen(function* () {
      const rest = yield* KalshiRest
      const state = yield* IngestState
      const time = yield* ExchangeTime
      const turn = yield* Semaphore.make(1)
      const catalog = yield* Catalog
      const completion = yield* MarketCompletion
      const config = yield* Setting.read({ ...IngestConfig.strikePeriods, ...IngestConfig.multivariate })
      const strikePeriods = config.periods.map((period) => StrikePeriod.normalize(period) ?? period)

      const refreshSeries = Effect.gen(function* () {
        const startedAt = Math.floor((yield* time.now) / 1000)
        const until = yield* untilDatabaseAnswers(state.get(seriesKey))
        const series = yield* rest.seriesList(
          Option.match(until, {
            onNone: () => ({}),
            onSome: (at) => ({ minUpdatedSeconds: Number(at) - overlapSeconds })
          })
        )
        for (let at = 0; at < series.length; at += seriesAtOnce)
          yield* untilDatabaseAnswers(catalog.saveSeries(series.slice(at, at + seriesAtOnce)))
        yield* untilDatabaseAnswers(state.set(seriesKey, String(startedAt)))
      }).pipe(turn.withPermit)

      const classify = (events: ReadonlyArray<Event>, frequencies: ReadonlyMap<string, string>) =>
        events.flatMap((event): ReadonlyArray<ClassifiedEvent> => {
          if (isMultivariate(event) && !config.includeMultivariate) return []
          const strikePeriod = StrikePeriod.infer(event, frequencies.get(event.seriesTicker ?? ""), config)
          return strikePeriod !== undefined && strikePeriods.includes(strikePeriod) ? [{ event, strikePeriod }] : []
        })

      const save = Effect.fnUntraced(function* (
        events: ReadonlyArray<Event>,
        frequencies: ReadonlyMap<string, string>,
        readAtMillis: number
      ) {
        const listed = events.filter(isMultivariate).length
        if (listed > 0)
          yield* Metric.update(
            Metric.withAttributes(combos, { recorded: config.includeMultivariate ? "yes" : "no" }),
            listed
          )
        const kept = classify(events, frequencies)
        const markets = kept.flatMap(({ event }) =>
          (event.markets ?? []).map((market): Market => ({ ...market, eventTicker: event.eventTicker }))
        )
        const readAt = fromMillis(readAtMillis)
        const changed = (yield* catalog.saveEvents(kept)) + (yield* catalog.saveMarkets(markets, readAt))
        if (markets.length > 0) yield* completion.seen(markets.map(({ ticker }) => ticker))
        return { changed, markets }
      })

      const saveMultivariate = (markets: ReadonlyArray<Market>, readAtMillis: number) => {
        const byEvent = new Map<string, Array<Market>>()
        for (const market of markets) {
          const { eventTicker = market.ticker } = market
          const found = byEvent.get(eventTicker)
          if (found === undefined) byEvent.set(eventTicker, [{ ...market, isMultivariate: true }])
          else found.push({ ...market, isMultivariate: true })
        }
        return save(
          [...byEvent].map(([eventTicker, some]): Event => ({ eventTicker, markets: some })),
          new Map(),
          readAtMillis
        )
      }

      return EventIntake.of({
        strikePeriods,
        includeMultivariate: config.includeMultivariate,
        refreshSeries,
        classify,
        save,
        saveMultivariate
      })
    })
  )
}
