import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import { Signer } from "../kalshi/Signer.ts"
import { Loops } from "../runtime/Loops.ts"
import { SettingError } from "../runtime/SettingError.ts"

/** Tries the credentials once: a key that the exchange does not accept ends the program. */
export const AccountCheck = Layer.effectDiscard(
  Effect.gen(function* () {
    const signer = yield* Signer
    if (!signer.available) return yield* Effect.logWarning("no API key is set: calls go out unsigned, at a lower rate")
    const rest = yield* KalshiRest
    const loops = yield* Loops
    const check = rest.accountLimits.pipe(
      Effect.tap((limits) => Effect.logInfo("exchange accepts the API key", limits)),
      Effect.catch((error) =>
        error.reason._tag === "Unauthorized"
          ? Effect.fail(
              new SettingError({
                setting: "KALSHI_API_KEY_ID",
                problem: "the exchange refuses this key (401)",
                fix: "check that the id belongs to the key of KALSHI_PRIVATE_KEY_PEM_PATH, that both are of this environment, and that this machine's clock is right"
              })
            )
          : Effect.logWarning("the exchange does not answer yet", { reason: error.message })
      )
    )
    yield* loops.run("account-check", Effect.andThen(check, Effect.never))
  })
)
