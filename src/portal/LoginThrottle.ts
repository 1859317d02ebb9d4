import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import { PortalAccess } from "../store/PortalAccess.ts"
import { TooManyAttempts } from "./ApiErrors.ts"

const freeAttempts = 5
const longestWaitMillis = 15 * 60_000
export const forgetAfterMillis = 60 * 60_000

/**
 * Slows down guessing: five attempts from an address are free, each further one waits twice as long as the one before,
 * up to a quarter of an hour. A right password, or an hour of silence, clears the slate. All portals of a database count together.
 */
export class LoginThrottle extends Context.Service<
  LoginThrottle,
  {
    /** Counts an attempt from an address before its password is looked at. */
    readonly attempt: (address: string) => Effect.Effect<void, TooManyAttempts | SqlError>
    readonly succeeded: (address: string) => Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/portal/LoginThrottle") {
  static readonly layer = Layer.effect(
    LoginThrottle,
    Effect.gen(function* () {
      const access = yield* PortalAccess
      return LoginThrottle.of({
        attempt: Effect.fn("LoginThrottle.attempt")(function* (given: string) {
          const address = given.slice(0, 100)
          const now = yield* Clock.currentTimeMillis
          const before = yield* access.recordAttempt(address, (known) => {
            const recent = known !== undefined && now - known.lastMillis <= forgetAfterMillis ? known : undefined
            if (recent !== undefined && now < recent.freeMillis) return undefined
            const wrong = (recent?.wrong ?? 0) + 1
            const wait = wrong < freeAttempts ? 0 : Math.min(1000 * 2 ** (wrong - freeAttempts), longestWaitMillis)
            return { wrong, lastMillis: now, freeMillis: now + wait }
          })
          if (before !== undefined && now - before.lastMillis <= forgetAfterMillis && now < before.freeMillis)
            return yield* new TooManyAttempts({ retryAfterSeconds: Math.ceil((before.freeMillis - now) / 1000) })
        }),
        succeeded: access.forgetAttempts
      })
    })
  )
}
