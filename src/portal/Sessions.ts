import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { SqlError } from "effect/sql/SqlError"
import { type EndedSessions, PortalAccess } from "../store/PortalAccess.ts"
import { type TooManyAttempts, WrongPassword } from "./ApiErrors.ts"
import { LoginThrottle } from "./LoginThrottle.ts"
import { makePasswordCheck } from "./Password.ts"
import { PortalConfig } from "./PortalConfig.ts"

export const sessionMillis = 12 * 3_600_000

export interface SessionToken {
  readonly token: string
  readonly expiresMillis: number
}

export interface ValidSession {
  readonly nonce: string
  readonly expiresMillis: number
}

/**
 * Sessions as signed tokens, `expiry.nonce.signature`: several portals with the same settings and database accept each other's. A new
 * password or secret key ends all of them; the database knows which others ended before their time, and each process asks it
 * every two seconds at most.
 */
export class Sessions extends Context.Service<
  Sessions,
  {
    readonly signIn: (
      password: string,
      address: string
    ) => Effect.Effect<SessionToken, WrongPassword | TooManyAttempts | SqlError>
    /** None for a token that is forged, spoiled or over. */
    readonly verify: (token: string) => Effect.Effect<Option.Option<ValidSession>, SqlError>
    readonly end: (session: ValidSession) => Effect.Effect<void, SqlError>
    readonly endAll: Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/portal/Sessions") {
  static readonly layerNoDeps = Layer.effect(
    Sessions,
    Effect.gen(function* () {
      const config = yield* PortalConfig
      const throttle = yield* LoginThrottle
      const access = yield* PortalAccess
      const isPassword = yield* makePasswordCheck(Redacted.value(config.password))
      const key = createHmac("sha256", Redacted.value(config.secretKey))
        .update(`portal session\0${Redacted.value(config.password)}`)
        .digest()
      const sign = (body: string) => createHmac("sha256", key).update(body).digest()
      const [ended, forget] = yield* Effect.cachedInvalidateWithTTL(access.endedSessions, "2 seconds")
      let lastKnown: EndedSessions | undefined
      const endedOrLastKnown = ended.pipe(
        Effect.tap((found) =>
          Effect.sync(() => {
            lastKnown = found
          })
        ),
        Effect.catch((error) => (lastKnown === undefined ? Effect.fail(error) : Effect.succeed(lastKnown)))
      )

      const signIn = Effect.fn("Sessions.signIn")(function* (password: string, address: string) {
        yield* throttle.attempt(address)
        if (!(yield* isPassword(password))) return yield* new WrongPassword()
        yield* throttle.succeeded(address)
        const expiresMillis = (yield* Clock.currentTimeMillis) + sessionMillis
        const body = `${expiresMillis}.${randomBytes(16).toString("base64url")}`
        return { token: `${body}.${sign(body).toString("base64url")}`, expiresMillis }
      })

      const verify = Effect.fnUntraced(function* (token: string) {
        const [expiry = "", nonce = "", signature = "", ...rest] = token.split(".")
        if (rest.length > 0 || !/^\d{1,15}$/.test(expiry)) return Option.none()
        const given = Buffer.from(signature, "base64url")
        const expected = sign(`${expiry}.${nonce}`)
        if (given.length !== expected.length || !timingSafeEqual(given, expected)) return Option.none()
        const expiresMillis = Number(expiry)
        if (expiresMillis <= (yield* Clock.currentTimeMillis)) return Option.none()
        const { nonces, validFromMillis } = yield* endedOrLastKnown
        return expiresMillis - sessionMillis <= validFromMillis || nonces.has(nonce)
          ? Option.none()
          : Option.some({ nonce, expiresMillis })
      })

      return Sessions.of({
        signIn,
        verify,
        end: Effect.fn("Sessions.end")(function* ({ expiresMillis, nonce }: ValidSession) {
          yield* access.endSession(nonce, expiresMillis)
          yield* forget
        }),
        endAll: Effect.gen(function* () {
          yield* access.endAllSessions(yield* Clock.currentTimeMillis)
          yield* forget
        })
      })
    })
  )

  static readonly layer = this.layerNoDeps.pipe(Layer.provide(LoginThrottle.layer))
}
