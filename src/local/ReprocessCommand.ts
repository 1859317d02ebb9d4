import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { drawing } from "../admin/Show.ts"
import { reprocess } from "../ingest/Reprocess.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { SettingError } from "../runtime/SettingError.ts"

const instant = Effect.fnUntraced(function* (flag: string, text: string) {
  const millis = Date.parse(text)
  if (Number.isNaN(millis) || !/[zZ]|[+-]\d\d:\d\d$/.test(text))
    return yield* new SettingError({
      setting: flag,
      problem: "it is not an instant with its zone",
      fix: "write it like 2026-11-24T14:00:00Z"
    })
  return millis
})

/** `--from` and `--to` are instants of reception, on the exchange's clock; `--to` excluded. */
export const reprocessCommand = Command.make(
  "reprocess",
  {
    from: Flag.String("from").pipe(Flag.withDescription("first instant of reception, like 2026-11-24T14:00:00Z")),
    to: Flag.String("to").pipe(Flag.withDescription("end of the span, excluded; now when left out"), Flag.optional),
    json: Flag.Boolean("json").pipe(Flag.withDefault(false))
  },
  Effect.fn("reprocessCommand")(function* (flags) {
    const time = yield* ExchangeTime
    const fromMillis = yield* instant("--from", flags.from)
    const toMillis = Option.isSome(flags.to)
      ? yield* instant("--to", flags.to.value)
      : time.fromWall((yield* Clock.currentTimeMillis) + 1)
    if (toMillis <= fromMillis)
      return yield* new SettingError({ setting: "--to", problem: "it is not after --from", fix: "swap the two" })
    const { end, step } = yield* drawing()
    const done = yield* reprocess({ fromMillis, toMillis }, ({ frames, journals }) =>
      step({ done: frames, total: null, note: `frames of ${journals} journals` })
    ).pipe(Effect.ensuring(end))
    yield* Console.log(
      flags.json
        ? JSON.stringify(done)
        : `read ${done.frames} frames of ${done.journals} journals again: ${done.ticks} ticks, ${done.quarantined} quarantined`
    )
  })
)
