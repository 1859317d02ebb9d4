import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import { KalshiRestError } from "../kalshi/KalshiRestError.ts"
import type { Event } from "../market/Event.ts"
import type { Market } from "../market/Market.ts"
import * as StrikePeriod from "../market/StrikePeriod.ts"
import { toMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import type { NotOurs } from "../runtime/Guardrails.ts"
import { Catalog } from "../store/Catalog.ts"
import type { MarketStage } from "../store/MarketCompletion.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { EventIntake } from "./EventIntake.ts"

/** What a scan came to. It was complete when it has no failures: every page of every status was read and stored. */
export interface EventScanOutcome {
  readonly events: number
  readonly changed: number
  readonly failures: ReadonlyArray<KalshiRestError>
}

/** The markets of one event settle within this time of its first close, or an older market than that does not hide another one. */
const settlesWithinMillis = 86_400_000

/** Statuses in the order an event passes through them: one that moves on while we read is met again. */
const order: ReadonlyArray<MarketStage> = ["open", "closed", "settled"]

/**
 * Reads the events with a market that closes after an instant, and stores those that are recorded, with all of their markets: also
 * with those that the exchange has moved to its historical tier.
 */
export class EventScan extends Context.Service<
  EventScan,
  {
    /** `closeAfterSeconds`: exchange time, epoch seconds. A status that cannot be read does not stop the others. */
    read(
      closeAfterSeconds: number,
      statuses: ReadonlyArray<MarketStage>
    ): Effect.Effect<EventScanOutcome, NotOurs | SqlError>
  }
>()("kalshi-ingestor/ingest/EventScan") {
  static readonly layer = Layer.effect(
    EventScan,
    Effect.gen(function* () {
      const rest = yield* KalshiRest
      const catalog = yield* Catalog
      const intake = yield* EventIntake
      const time = yield* ExchangeTime

      const archivedMarkets = (eventTicker: string) =>
        Effect.map(Stream.runCollect(rest.historicalMarketPages({ eventTicker })), (pages) => pages.flat())

      /** Adds to the events of a page what of their markets is archived. */
      const makeWhole = (
        frequencies: ReadonlyMap<string, string>,
        cutoffMillis: number,
        isOfWantedSeries: Map<string, boolean>
      ) => {
        const withArchived = Effect.fnUntraced(function* (event: Event) {
          const live = event.markets ?? []
          const known = new Set(live.map(({ ticker }) => ticker))
          const archived = (yield* archivedMarkets(event.eventTicker)).filter(({ ticker }) => !known.has(ticker))
          return { ...event, markets: [...live, ...archived] }
        })
        const mayHide = ({ markets = [] }: Event): boolean =>
          markets.some(
            ({ closeTime }) => closeTime !== undefined && toMillis(closeTime) < cutoffMillis + settlesWithinMillis
          )
        return Effect.fnUntraced(function* (event: Event) {
          const isWanted = intake.classify([event], frequencies).length > 0
          if ((event.markets ?? []).length > 0) return isWanted && mayHide(event) ? yield* withArchived(event) : event
          if (isWanted) return yield* withArchived(event)
          const { seriesTicker = "" } = event
          const frequency = StrikePeriod.normalize(frequencies.get(seriesTicker))
          const said = StrikePeriod.normalize(event.strikePeriod) ?? StrikePeriod.normalize(event.cadence)
          if (said !== undefined || (frequency !== undefined && frequency !== "custom")) return event
          // Only its markets could tell. One event of a series answers for the others.
          if (isOfWantedSeries.get(seriesTicker) === false) return event
          const whole = yield* withArchived(event)
          if (!isOfWantedSeries.has(seriesTicker) && whole.markets.length > 0)
            isOfWantedSeries.set(seriesTicker, intake.classify([whole], frequencies).length > 0)
          return whole
        })
      }

      const readEvents = Effect.fnUntraced(function* (
        status: MarketStage,
        closeAfterSeconds: number,
        cutoffMillis: number,
        isOfWantedSeries: Map<string, boolean>
      ) {
        const frequencies = yield* untilDatabaseAnswers(catalog.seriesFrequencies)
        const whole = makeWhole(frequencies, cutoffMillis, isOfWantedSeries)
        const seen = { events: 0, changed: 0 }
        yield* rest.eventPages({ status, minCloseSeconds: closeAfterSeconds, withNestedMarkets: true }).pipe(
          Stream.runForEach(
            Effect.fnUntraced(function* (page) {
              const readAt = yield* time.now
              const unknown = new Set(
                page.flatMap(({ markets = [], seriesTicker }) =>
                  markets.length === 0 && seriesTicker !== undefined && !isOfWantedSeries.has(seriesTicker)
                    ? [seriesTicker]
                    : []
                )
              )
              if (unknown.size > 0)
                for (const ticker of yield* untilDatabaseAnswers(
                  catalog.seriesOfPeriods([...unknown], intake.strikePeriods)
                ))
                  isOfWantedSeries.set(ticker, true)
              const events = yield* Effect.forEach(page, whole, { concurrency: 4 })
              const saved = yield* untilDatabaseAnswers(intake.save(events, frequencies, readAt))
              seen.events += page.length
              seen.changed += saved.changed
            })
          )
        )
        return seen
      })

      const multivariatePages = (status: MarketStage, closeAfterSeconds: number) =>
        rest.marketPages({
          status,
          multivariate: "only",
          ...(status === "closed" ? { minCloseSeconds: closeAfterSeconds } : {}),
          ...(status === "settled" ? { minSettledSeconds: closeAfterSeconds } : {})
        })
      const readMultivariate = Effect.fnUntraced(function* (status: MarketStage, closeAfterSeconds: number) {
        let changed = 0
        yield* multivariatePages(status, closeAfterSeconds).pipe(
          Stream.runForEach(
            Effect.fnUntraced(function* (page: ReadonlyArray<Market>) {
              const saved = yield* untilDatabaseAnswers(intake.saveMultivariate(page, yield* time.now))
              changed += saved.changed
            })
          )
        )
        return { events: 0, changed }
      })

      const read = Effect.fn("EventScan.read")(function* (
        closeAfterSeconds: number,
        statuses: ReadonlyArray<MarketStage>
      ) {
        const isOfWantedSeries = new Map<string, boolean>()
        const failures: Array<KalshiRestError> = []
        const total = { events: 0, changed: 0 }
        const noted = <E extends KalshiRestError | SqlError>(
          part: Effect.Effect<{ readonly events: number; readonly changed: number }, E>
        ) =>
          part.pipe(
            Effect.tap(({ changed, events }) =>
              Effect.sync(() => {
                total.events += events
                total.changed += changed
              })
            ),
            Effect.catchIf(
              (error): error is E & KalshiRestError => error._tag === "KalshiRestError",
              (error) =>
                Effect.sync(() => {
                  failures.push(error)
                })
            )
          )
        const cutoff = yield* intake.refreshSeries.pipe(
          Effect.andThen(rest.historicalCutoff),
          Effect.map(Option.some),
          Effect.catchTag("KalshiRestError", (error) => {
            failures.push(error)
            return Effect.succeedNone
          })
        )
        if (Option.isNone(cutoff)) return { ...total, failures }
        const { marketsSettled } = cutoff.value
        for (const status of order.filter((one) => statuses.includes(one))) {
          yield* noted(readEvents(status, closeAfterSeconds, toMillis(marketsSettled), isOfWantedSeries))
          if (intake.includeMultivariate) yield* noted(readMultivariate(status, closeAfterSeconds))
        }
        yield* noted(
          Effect.flatMap(rest.historicalCutoff, (after) =>
            after.marketsSettled === marketsSettled
              ? Effect.succeed({ events: 0, changed: 0 })
              : Effect.fail(
                  new KalshiRestError({
                    route: "GET /events",
                    reason: { _tag: "Malformed", issue: "markets were archived while it was read" }
                  })
                )
          )
        )
        return { ...total, failures }
      })

      return EventScan.of({ read })
    })
  )
}
