import { createHash, randomBytes } from "node:crypto"
import * as Cache from "effect/Cache"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import { type ApiTokenRow, PortalAccess } from "../store/PortalAccess.ts"

const prefix = "kpt_"
const hashOf = (token: string) => createHash("sha256").update(token).digest()

/** Read-only tokens: 256 random bits that are shown once; the database has their hash. */
export class ApiTokens extends Context.Service<
  ApiTokens,
  {
    readonly list: Effect.Effect<ReadonlyArray<ApiTokenRow>, SqlError>
    readonly create: (
      name: string,
      days: number | undefined
    ) => Effect.Effect<ApiTokenRow & { readonly token: string }, SqlError>
    /** Whether there was such a token. It may be accepted for five seconds more. */
    readonly revoke: (id: string) => Effect.Effect<boolean, SqlError>
    /** The id of a token that counts. */
    readonly verify: (token: string) => Effect.Effect<string | undefined, SqlError>
  }
>()("kalshi-ingestor/portal/ApiTokens") {
  static readonly layer = Layer.effect(
    ApiTokens,
    Effect.gen(function* () {
      const access = yield* PortalAccess
      const known = yield* Cache.make({
        capacity: 1_000,
        timeToLive: "5 seconds",
        lookup: (hex: string) => access.useToken(Buffer.from(hex, "hex"))
      })
      return ApiTokens.of({
        list: access.tokens,
        create: Effect.fn("ApiTokens.create")(function* (name: string, days: number | undefined) {
          const token = prefix + randomBytes(32).toString("base64url")
          const now = yield* Clock.currentTimeMillis
          const row = yield* access.addToken({
            name,
            hash: hashOf(token),
            expiresMillis: days === undefined ? undefined : now + days * 86_400_000
          })
          return { ...row, token }
        }),
        revoke: Effect.fn("ApiTokens.revoke")(function* (id: string) {
          const was = yield* access.revokeToken(id)
          yield* Cache.invalidateAll(known)
          return was
        }),
        verify: (token) =>
          token.startsWith(prefix) && token.length < 100
            ? Cache.get(known, hashOf(token).toString("hex"))
            : Effect.succeed(undefined)
      })
    })
  )
}
