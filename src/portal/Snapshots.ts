import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import { Credentials } from "../kalshi/Credentials.ts"
import { Drift } from "../kalshi/Drift.ts"
import { KalshiConfig } from "../kalshi/KalshiConfig.ts"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import type { KalshiRestError } from "../kalshi/KalshiRestError.ts"
import { RateLimit } from "../kalshi/RateLimit.ts"
import { Signer } from "../kalshi/Signer.ts"
import { fromMillis, toMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Catalog } from "../store/Catalog.ts"
import type { MarketFacts } from "../store/MarketReads.ts"
import { Refused } from "./ApiErrors.ts"
import { PortalConfig } from "./PortalConfig.ts"

const waitAtMost = "10 seconds"
/** One page of the exchange, one call of the budget. */
const outcomesAtMost = 1_000
const allowsClosed = "WEB_PORTAL_SNAPSHOT_ALLOW_CLOSED=1 allows this"
const closed: ReadonlySet<string> = new Set(["closed", "determined", "disputed", "amended", "finalized", "settled"])

/** As much of a market as tells whether its quote would be read. */
export type Quoted = Pick<MarketFacts, "ticker" | "status" | "quotedAt">

/**
 * Reads quotes from the exchange when a person asks for it. The portal has no key: it uses what the exchange shows everybody, within a
 * budget that all portals of the database share.
 */
export class Snapshots extends Context.Service<
  Snapshots,
  {
    /** Why this market's quote would not be read now; nothing when it would. */
    readonly refusal: (market: Quoted) => Effect.Effect<string | undefined>
    /** Those of these markets whose quotes would be read now. */
    readonly wanted: (markets: ReadonlyArray<Quoted>) => Effect.Effect<ReadonlyArray<Quoted>>
    readonly take: (market: Quoted) => Effect.Effect<void, Refused | SqlError>
    /** One call for all outcomes of an event; `absent`: wanted ones that the exchange did not give. */
    readonly takeEvent: (
      eventTicker: string,
      outcomes: ReadonlyArray<Quoted>
    ) => Effect.Effect<{ readonly read: number; readonly absent: number }, Refused | SqlError>
  }
>()("kalshi-ingestor/portal/Snapshots") {
  static readonly layerNoDeps = Layer.effect(
    Snapshots,
    Effect.gen(function* () {
      const config = yield* PortalConfig
      const rest = yield* KalshiRest
      const catalog = yield* Catalog
      const time = yield* ExchangeTime
      const fewAtATime = yield* Semaphore.make(2)

      const refusal = Effect.fnUntraced(function* (market: Quoted) {
        if (closed.has(market.status ?? "") && !config.snapshotAllowClosed)
          return `the market has closed; ${allowsClosed}`
        const age =
          market.quotedAt === null
            ? Number.POSITIVE_INFINITY
            : time.toWallSpan(time.fromWall(yield* Clock.currentTimeMillis) - toMillis(market.quotedAt)) / 1000
        return age < config.snapshotPreferTicksSeconds
          ? `its quote is ${Math.max(0, Math.round(age))} s old; a snapshot would not be newer`
          : undefined
      })
      const wanted = (markets: ReadonlyArray<Quoted>) =>
        Effect.filter(markets, (market) => Effect.map(refusal(market), (problem) => problem === undefined))

      const nothingWanted = (markets: ReadonlyArray<Quoted>) =>
        markets.length === 0
          ? "no outcome of this event is known"
          : markets.every(({ status }) => closed.has(status ?? "")) && !config.snapshotAllowClosed
            ? `the event has closed; ${allowsClosed}`
            : `every quote is less than ${config.snapshotPreferTicksSeconds} s old; a snapshot would not be newer`

      const asked = <A>(call: Effect.Effect<A, KalshiRestError>) =>
        call.pipe(
          Effect.timeoutOption(waitAtMost),
          Effect.tapError((error) => Effect.logWarning("snapshot failed", { reason: error.reason._tag })),
          Effect.mapError(() => new Refused({ problem: "the exchange did not give it" })),
          Effect.flatMap(
            Option.match({
              onNone: () => Effect.fail(new Refused({ problem: "the exchange did not answer in time" })),
              onSome: Effect.succeed
            })
          )
        )

      const take = Effect.fn("Snapshots.take")(function* (market: Quoted) {
        const problem = yield* refusal(market)
        if (problem !== undefined) return yield* new Refused({ problem })
        const read = yield* asked(rest.market(market.ticker))
        yield* catalog.saveQuotes([read], fromMillis(yield* time.now))
      }, fewAtATime.withPermits(1))

      const takeEvent = Effect.fn("Snapshots.takeEvent")(function* (
        eventTicker: string,
        outcomes: ReadonlyArray<Quoted>
      ) {
        const tickers = new Set((yield* wanted(outcomes)).map(({ ticker }) => ticker))
        if (tickers.size === 0) return yield* new Refused({ problem: nothingWanted(outcomes) })
        const page = yield* asked(rest.markets({ eventTicker }).pipe(Stream.take(outcomesAtMost), Stream.runCollect))
        const read = page.filter(({ ticker }) => tickers.has(ticker))
        if (read.length === 0)
          return yield* new Refused({ problem: `the exchange gave none of the ${tickers.size} outcomes` })
        yield* catalog.saveQuotes(read, fromMillis(yield* time.now))
        return { read: read.length, absent: tickers.size - read.length }
      }, fewAtATime.withPermits(1))

      return Snapshots.of({ refusal, wanted, take, takeEvent })
    })
  )

  /** Over the exchange's public routes. */
  static readonly layer = this.layerNoDeps.pipe(
    Layer.provide([
      Catalog.layer,
      KalshiRest.layer.pipe(
        Layer.provide(RateLimit.layer),
        Layer.provide(Signer.layer.pipe(Layer.provideMerge(Credentials.layerNone))),
        Layer.provide(Drift.layer),
        Layer.provide(KalshiConfig.layer)
      )
    ])
  )
}
