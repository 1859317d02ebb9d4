import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
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
    const tolerant = <A, E>(effect: Effect.Effect<A, E>) =>
      effect.pipe(
        Effect.tapError((error) => Effect.logWarning("upkeep of the lists failed", error)),
        Effect.ignore
      )
    const changed = cards.refresh(notesAtOnce).pipe(Effect.repeat({ while: (notes) => notes >= notesAtOnce }))
    yield* loops.run("event-cards", tolerant(changed).pipe(Effect.repeat(Schedule.spaced("1 second"))))
    yield* loops.run(
      "event-quotes",
      tolerant(cards.refreshQuotes(quotesEveryMillis)).pipe(Effect.repeat(Schedule.spaced("3 seconds")))
    )
    yield* loops.run(
      "coverage-days",
      tolerant(cards.refreshCoverageDay.pipe(Effect.repeat({ while: (done) => done }))).pipe(
        Effect.repeat(Schedule.spaced("10 seconds"))
      )
    )
    yield* loops.run(
      "portal-tidy",
      tolerant(Effect.flatMap(Clock.currentTimeMillis, (now) => access.tidy(now, forgetAfterMillis))).pipe(
        Effect.repeat(Schedule.spaced("10 minutes"))
      )
    )
  })
)
