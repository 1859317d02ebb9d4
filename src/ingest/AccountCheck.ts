import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import { Signer } from "../kalshi/Signer.ts"
import { Loops } from "../runtime/Loops.ts"
import { SettingError } from "../runtime/SettingError.ts"

/** Tries the credentials once: a key that the exchange does not accept ends the program before it asks for anything else. */
export class AccountCheck extends Context.Service<
  AccountCheck,
  {
    /** Resolves once the key was accepted, there is none, or the exchange does not answer yet. */
    readonly passed: Effect.Effect<void>
  }
>()("kalshi-ingestor/ingest/AccountCheck") {
  static readonly layer = Layer.effect(
    AccountCheck,
    Effect.gen(function* () {
      const signer = yield* Signer
      const rest = yield* KalshiRest
      const loops = yield* Loops
      const passed = yield* Deferred.make<void>()
      const check = signer.available
        ? rest.accountLimits.pipe(
            Effect.tap((limits) => Effect.logInfo("exchange accepts the API key", limits)),
            Effect.catch((error) =>
              error.reason._tag === "Unauthorized"
                ? Effect.fail(refused)
                : Effect.logWarning("the exchange does not answer yet", { reason: error.message })
            )
          )
        : Effect.logWarning("no API key is set: calls go out unsigned, at a lower rate")
      yield* loops.run(
        "account-check",
        check.pipe(Effect.andThen(Deferred.succeed(passed, undefined)), Effect.andThen(Effect.never))
      )
      return AccountCheck.of({ passed: Deferred.await(passed) })
    })
  )
}

const refused = new SettingError({
  setting: "KALSHI_API_KEY_ID",
  problem: "the exchange refuses this key (401)",
  fix: "check that the id belongs to the key of KALSHI_PRIVATE_KEY_PEM_PATH, that both are of this environment, and that this machine's clock is right"
})
