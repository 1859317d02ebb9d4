import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Health } from "../runtime/Health.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { Journal } from "./Journal.ts"
import * as JournalDirectory from "./JournalDirectory.ts"

const Reported = Layer.effectDiscard(
  Effect.gen(function* () {
    const health = yield* Health
    const journal = yield* Journal
    yield* health.register(
      "journal",
      Effect.gen(function* () {
        const blocked = yield* journal.blocked
        if (Option.isNone(blocked)) return { ok: true, detail: "written" }
        const ageSeconds = ((yield* Clock.currentTimeMillis) - blocked.value.sinceMillis) / 1000
        return { ok: false, detail: `no room: ${blocked.value.reason}`, ageSeconds }
      })
    )
  })
)

/** The journal of this process, where the settings want it. */
export const JournalOfProcess = Layer.unwrap(
  Effect.gen(function* () {
    const directory = yield* JournalDirectory.own
    const options = yield* JournalDirectory.optionsOf(directory)
    return Reported.pipe(
      Layer.provideMerge(Journal.layer(options)),
      Layer.catch(({ message }) =>
        Layer.effect(
          Journal,
          Effect.fail(
            new SettingError({
              setting: "JOURNAL_DIR",
              problem: `${directory} cannot be written (${message})`,
              fix: "name a directory on a local disk that this user may write to"
            })
          )
        )
      )
    )
  })
)
