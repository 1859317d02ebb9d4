import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import { EventCards } from "../store/EventCards.ts"
import { PortalAccess } from "../store/PortalAccess.ts"
import { forgetAfterMillis } from "./LoginThrottle.ts"

const notesAtOnce = 2_000
const quotesEveryMillis = 3_000

/** Keeps what the lists show up to date, off the path of whoever writes. Of several portals one at a time does it. */
export const CardUpkeep = Layer.effectDiscard(
  Effect.gen(function* () {
    const cards = yield* EventCards
    const access = yield* PortalAccess
    const loops = yield* Loops
    const health = yield* Health
    let refreshed = { ok: true, atMillis: yield* Clock.currentTimeMillis }
    const note = (ok: boolean) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        refreshed = { ok, atMillis: ok ? now : refreshed.atMillis }
      })
    yield* health.register(
      "lists",
      Effect.map(Clock.currentTimeMillis, (now) => ({
        ok: refreshed.ok,
        detail: refreshed.ok ? "up to date" : "cannot be brought up to date",
        ageSeconds: (now - refreshed.atMillis) / 1000
      }))
    )
    const tolerant = <A, E>(effect: Effect.Effect<A, E>) =>
      effect.pipe(
        Effect.tapError((error) => Effect.logWarning("upkeep of the lists failed", error)),
        Effect.ignore
      )
    const changed = cards.refresh(notesAtOnce).pipe(
      Effect.repeat({ while: (notes) => notes >= notesAtOnce }),
      Effect.tap(() => note(true)),
      Effect.tapError(() => note(false))
    )
    yield* loops.cycle("event-cards", { pass: tolerant(changed), every: "1 second" })
    yield* loops.cycle("event-quotes", {
      pass: tolerant(cards.refreshQuotes(quotesEveryMillis)),
      every: "3 seconds"
    })
    yield* loops.cycle("coverage-days", {
      pass: tolerant(cards.refreshCoverageDay.pipe(Effect.repeat({ while: (done) => done }))),
      every: "10 seconds"
    })
    yield* loops.cycle("portal-tidy", {
      pass: tolerant(Effect.flatMap(Clock.currentTimeMillis, (now) => access.tidy(now, forgetAfterMillis))),
      every: "10 minutes"
    })
  })
)
