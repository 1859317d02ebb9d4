import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TooManyRequests } from "./ApiErrors.ts"
import { PortalConfig } from "./PortalConfig.ts"

interface Bucket {
  readonly tokens: number
  readonly millis: number
}

const burst = 4
const visitorsKept = 10_000

/** How fast a visitor may ask one portal process. */
export class RequestRate extends Context.Service<
  RequestRate,
  { readonly take: (visitor: string) => Effect.Effect<void, TooManyRequests> }
>()("kalshi-ingestor/portal/RequestRate") {
  static readonly layer = Layer.effect(
    RequestRate,
    Effect.gen(function* () {
      const { ratePerSecond } = yield* PortalConfig
      const buckets = new Map<string, Bucket>()
      const take = Effect.fnUntraced(function* (visitor: string) {
        const millis = yield* Clock.currentTimeMillis
        const before = buckets.get(visitor) ?? { tokens: ratePerSecond * burst, millis }
        const tokens =
          Math.min(ratePerSecond * burst, before.tokens + ((millis - before.millis) / 1000) * ratePerSecond) - 1
        if (tokens < 0)
          return yield* new TooManyRequests({ retryAfterSeconds: Math.max(1, Math.ceil(-tokens / ratePerSecond)) })
        buckets.delete(visitor)
        buckets.set(visitor, { tokens, millis })
        if (buckets.size > visitorsKept)
          for (const oldest of buckets.keys()) {
            buckets.delete(oldest)
            break
          }
      })
      return RequestRate.of({ take: ratePerSecond === 0 ? () => Effect.void : take })
    })
  )
}
