import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TooManyAttempts } from "./PortalApi.ts"

interface Attempts {
  readonly wrong: number
  readonly lastMillis: number
  readonly freeMillis: number
}

const freeAttempts = 5
const longestWaitMillis = 15 * 60_000
const forgetAfterMillis = 60 * 60_000
const addressesKept = 10_000

/**
 * Slows down guessing: five attempts from an address are free, each further one waits twice as long as the one before,
 * up to a quarter of an hour. A right password, or an hour of silence, clears the slate.
 */
export class LoginThrottle extends Context.Service<
  LoginThrottle,
  {
    /** Counts an attempt from an address before its password is looked at. */
    readonly attempt: (address: string) => Effect.Effect<void, TooManyAttempts>
    readonly succeeded: (address: string) => Effect.Effect<void>
  }
>()("kalshi-ingestor/portal/LoginThrottle") {
  static readonly layer = Layer.sync(LoginThrottle, () => {
    const known = new Map<string, Attempts>()

    const makeRoom = (now: number) => {
      if (known.size < addressesKept) return
      for (const [address, { lastMillis }] of known) {
        if (now - lastMillis > forgetAfterMillis) known.delete(address)
      }
      for (const address of known.keys()) {
        if (known.size < addressesKept) return
        known.delete(address)
      }
    }

    return LoginThrottle.of({
      attempt: Effect.fn("LoginThrottle.attempt")(function* (address: string) {
        const now = yield* Clock.currentTimeMillis
        const found = known.get(address)
        const before = found !== undefined && now - found.lastMillis <= forgetAfterMillis ? found : undefined
        if (before !== undefined && now < before.freeMillis)
          return yield* new TooManyAttempts({ retryAfterSeconds: Math.ceil((before.freeMillis - now) / 1000) })
        const wrong = (before?.wrong ?? 0) + 1
        const wait = wrong < freeAttempts ? 0 : Math.min(1000 * 2 ** (wrong - freeAttempts), longestWaitMillis)
        known.delete(address)
        makeRoom(now)
        known.set(address, { wrong, lastMillis: now, freeMillis: now + wait })
      }),
      succeeded: (address) => Effect.sync(() => known.delete(address)).pipe(Effect.asVoid)
    })
  })
}
