import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import type { SqlError } from "effect/sql/SqlError"
import { Credentials } from "../kalshi/Credentials.ts"
import { Drift } from "../kalshi/Drift.ts"
import { KalshiConfig } from "../kalshi/KalshiConfig.ts"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import { RateLimit } from "../kalshi/RateLimit.ts"
import { Signer } from "../kalshi/Signer.ts"
import { fromMillis, toMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Catalog } from "../store/Catalog.ts"
import type { MarketFacts } from "../store/MarketReads.ts"
import { Refused } from "./ApiErrors.ts"
import { PortalConfig } from "./PortalConfig.ts"

const waitAtMost = "10 seconds"
const closed: ReadonlySet<string> = new Set(["closed", "determined", "disputed", "amended", "finalized", "settled"])

/**
 * Reads one market's quote from the exchange when a person asks for it. The portal has no key: it uses what the exchange shows
 * everybody, within a budget that all portals of the database share.
 */
export class Snapshots extends Context.Service<
  Snapshots,
  {
    /** Why this market's quote would not be read now; nothing when it would. */
    readonly refusal: (market: MarketFacts) => Effect.Effect<string | undefined>
    readonly take: (market: MarketFacts) => Effect.Effect<void, Refused | SqlError>
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

      const refusal = Effect.fnUntraced(function* (market: MarketFacts) {
        if (closed.has(market.status ?? "") && !config.snapshotAllowClosed)
          return "the market has closed; WEB_PORTAL_SNAPSHOT_ALLOW_CLOSED=1 allows this"
        const age =
          market.quotedAt === null
            ? Number.POSITIVE_INFINITY
            : time.toWallSpan(time.fromWall(yield* Clock.currentTimeMillis) - toMillis(market.quotedAt)) / 1000
        return age < config.snapshotPreferTicksSeconds
          ? `its quote is ${Math.max(0, Math.round(age))} s old; a snapshot would not be newer`
          : undefined
      })

      const take = Effect.fn("Snapshots.take")(function* (market: MarketFacts) {
        const problem = yield* refusal(market)
        if (problem !== undefined) return yield* new Refused({ problem })
        const read = yield* rest.market(market.ticker).pipe(
          Effect.timeoutOption(waitAtMost),
          Effect.tapError((error) => Effect.logWarning("snapshot failed", { reason: error.reason._tag })),
          Effect.mapError(() => new Refused({ problem: "the exchange did not give it" }))
        )
        if (read._tag === "None") return yield* new Refused({ problem: "the exchange did not answer in time" })
        yield* catalog.saveQuote(read.value, fromMillis(yield* time.now))
      }, fewAtATime.withPermits(1))

      return Snapshots.of({ refusal, take })
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
