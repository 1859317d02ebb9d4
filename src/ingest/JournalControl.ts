import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Quarantine from "../store/Quarantine.ts"
import { CaptureStore } from "./CaptureStore.ts"
import * as QuarantineRetry from "./QuarantineRetry.ts"
import { reprocess } from "./Reprocess.ts"

type Reprocessing = ReturnType<typeof reprocess>
type Retrying = ReturnType<typeof QuarantineRetry.retry>

/** Reading again what was received, on request. */
export class JournalControl extends Context.Service<
  JournalControl,
  {
    reprocess(
      ...span: Parameters<typeof reprocess>
    ): Effect.Effect<Effect.Success<Reprocessing>, Effect.Error<Reprocessing>>
    retry(
      ...ids: Parameters<typeof QuarantineRetry.retry>
    ): Effect.Effect<Effect.Success<Retrying>, Effect.Error<Retrying>>
  }
>()("kalshi-ingestor/ingest/JournalControl") {
  static readonly layer = Layer.effect(
    JournalControl,
    Effect.gen(function* () {
      yield* CaptureStore
      const context = yield* Effect.context<Effect.Services<Reprocessing> | Effect.Services<Retrying>>()
      return JournalControl.of({
        reprocess: (span, tell) => Effect.provideContext(reprocess(span, tell), context),
        retry: (ids) => Effect.provideContext(QuarantineRetry.retry(ids), context)
      })
    })
  ).pipe(Layer.provide(Quarantine.Quarantine.layer))
}
