import * as Effect from "effect/Effect"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import type { CoverageMoment } from "../store/Coverage.ts"

/**
 * A market is subscribed when our clock says that it opens. Heard of within this time of its opening, on our clock or on the exchange's,
 * whichever is longer, it was recorded from its opening.
 */
const subscribedWithinMillis = 10_000

export const coverageMoment = Effect.gen(function* () {
  const time = yield* ExchangeTime
  const moment: CoverageMoment = {
    nowMillis: yield* time.now,
    graceMillis: Math.round(subscribedWithinMillis / Math.min(1, time.toWallSpan(1)))
  }
  return moment
})
