import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { SettingError } from "../runtime/SettingError.ts"
import { Credentials, load } from "./Credentials.ts"
import { KalshiConfig } from "./KalshiConfig.ts"
import { KalshiHttp } from "./KalshiHttp.ts"
import type { KalshiRestError } from "./KalshiRestError.ts"
import { Signer } from "./Signer.ts"

export interface Rotated {
  readonly keyId: string
  readonly previousKeyId: string | undefined
}

/** Changes the API key of a running process. */
export class KeyRotation extends Context.Service<
  KeyRotation,
  {
    /**
     * Reads the key file, asks the exchange whether it takes the key, and only then signs with it; a connection that is open stays.
     * The settings are not changed: they must name the new key before the next start.
     */
    rotate(keyId: string, path: string): Effect.Effect<Rotated, SettingError | KalshiRestError>
  }
>()("kalshi-ingestor/kalshi/KeyRotation") {
  static readonly layer = Layer.effect(
    KeyRotation,
    Effect.gen(function* () {
      const config = yield* KalshiConfig
      const credentials = yield* Credentials

      const rotate = Effect.fn("KeyRotation.rotate")(function* (keyId: string, path: string) {
        const next = yield* load(keyId, path)
        yield* KalshiHttp.use((http) => http.get({ template: "GET /account/limits", path: "/account/limits" })).pipe(
          Effect.provide(
            KalshiHttp.layer.pipe(
              Layer.provide(Signer.layer),
              Layer.provide(Layer.sync(Credentials, () => Credentials.holding(Option.some(next)))),
              Layer.provide(Layer.succeed(KalshiConfig, config))
            ),
            { local: true }
          )
        )
        const previous = yield* credentials.current
        yield* credentials.replace(next)
        yield* Effect.logInfo("the API key was changed", { keyId })
        return { keyId, previousKeyId: Option.getOrUndefined(previous)?.keyId }
      })
      return KeyRotation.of({ rotate })
    })
  )
}
