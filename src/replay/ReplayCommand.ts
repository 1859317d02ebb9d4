import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { presenter } from "../runtime/CommandLine.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { version } from "../runtime/Version.ts"
import { keysDirectory } from "../simulator/KeysDirectory.ts"
import { Database } from "../store/Database.ts"
import { GapSpans } from "../store/GapSpans.ts"
import { Migrations } from "../store/Migrations.ts"
import { RecordedRows } from "../store/RecordedRows.ts"
import { ReplayCatalog } from "../store/ReplayCatalog.ts"
import { SchemaCheck } from "../store/SchemaCheck.ts"
import { layerDatabase } from "./DatabaseFrames.ts"
import type { FrameSource } from "./FrameSource.ts"
import { layerJournal } from "./JournalFrames.ts"
import { type ReplayOptions, ReplayServer } from "./ReplayServer.ts"

const flags = {
  source: Flag.Literals("source", ["journal", "database"]).pipe(
    Flag.withDescription("kept journal segments of this machine, or the rows of the database; default journal"),
    Flag.withDefault("journal" as const)
  ),
  from: Flag.String("from").pipe(
    Flag.withDescription("first instant, like 2026-11-24T14:00:00Z; default: the first frame of the journal"),
    Flag.optional
  ),
  to: Flag.String("to").pipe(Flag.withDescription("end of the span, excluded; now when left out"), Flag.optional),
  speed: Flag.String("speed").pipe(
    Flag.withDescription("times the original pace, or max: as fast as the clients read"),
    Flag.withDefault("1")
  ),
  start: Flag.Literals("start", ["subscribed", "now"]).pipe(
    Flag.withDescription("when the clock starts: with the first subscriptions, or at once"),
    Flag.withDefault("subscribed" as const)
  ),
  hold: Flag.Int("hold-ms").pipe(
    Flag.withDescription("the clock starts when no subscription changed for so long"),
    Flag.withDefault(500)
  ),
  series: Flag.String("series").pipe(Flag.atLeast(0)),
  event: Flag.String("event").pipe(Flag.atLeast(0)),
  market: Flag.String("market").pipe(Flag.atLeast(0)),
  port: Flag.Int("port").pipe(Flag.withDefault(0)),
  host: Flag.String("host").pipe(Flag.withDefault("127.0.0.1")),
  keysDir: Flag.String("keys-dir").pipe(
    Flag.withDescription("the key that it accepts, made when missing: kalshi-key.pem and kalshi-key-id"),
    Flag.withDefault(".data/replay-keys")
  ),
  bufferBytes: Flag.Int("buffer-bytes").pipe(Flag.withDefault(32 * 1024 * 1024)),
  refillRate: Flag.Finite("refill-rate").pipe(Flag.withDefault(200)),
  capacity: Flag.Finite("capacity").pipe(Flag.withDefault(600))
}

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

const paceOf = Effect.fnUntraced(function* (text: string) {
  if (text === "max") return "max" as const
  const speed = Number(text)
  if (!(speed > 0 && speed <= 1_000_000))
    return yield* new SettingError({
      setting: "--speed",
      problem: "it is neither a pace above 0 nor max",
      fix: "write --speed 1, --speed 60 or --speed max"
    })
  return speed
})

/** Before everything that was ever recorded. */
const longAgo = 0

const serve = Effect.fnUntraced(function* (source: string, isAtOnce: boolean) {
  const server = yield* ReplayServer
  if (isAtOnce)
    yield* server.start.pipe(
      Effect.andThen(server.stats),
      Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: ({ state }) => state !== "waiting" }),
      Effect.raceFirst(server.failed)
    )
  const clock = server.clock()
  yield* Console.log(
    JSON.stringify({
      listening: true,
      port: server.port,
      rest: server.restUrl,
      ws: server.wsUrl,
      control: server.controlUrl,
      source,
      gaps: server.gaps.length,
      ...(clock === undefined ? {} : { clock: `${clock.wallMs}:${clock.exchangeMs}:${clock.speed}` })
    })
  )
  return yield* server.failed
})

const command = Command.make(
  "replay",
  flags,
  Effect.fnUntraced(function* (input) {
    const time = yield* ExchangeTime
    const speed = yield* paceOf(input.speed)
    const from = Option.isSome(input.from) ? yield* instant("--from", input.from.value) : undefined
    if (from === undefined && input.source === "database")
      return yield* new SettingError({
        setting: "--from",
        problem: "it is not set, and a database may hold years",
        fix: "write --from 2026-11-24T14:00:00Z"
      })
    const toMillis = Option.isSome(input.to)
      ? yield* instant("--to", input.to.value)
      : time.fromWall((yield* Clock.currentTimeMillis) + 1)
    const fromMillis = from ?? longAgo
    if (toMillis <= fromMillis)
      return yield* new SettingError({ setting: "--to", problem: "it is not after --from", fix: "swap the two" })
    if (input.hold < 0 || input.hold > 600_000)
      return yield* new SettingError({ setting: "--hold-ms", problem: "it is not 0 to 600000", fix: "leave it out" })
    const key = yield* keysDirectory(input.keysDir).pipe(
      Effect.mapError(
        () =>
          new SettingError({
            setting: "--keys-dir",
            problem: `${input.keysDir} cannot be written or read`,
            fix: "name a folder that you can write"
          })
      )
    )
    const options: ReplayOptions = {
      port: input.port,
      host: input.host,
      span: { fromMillis, toMillis },
      isFromFirst: from === undefined,
      speed,
      holdMillis: input.start === "now" ? undefined : input.hold,
      bufferBytes: input.bufferBytes,
      keys: [key],
      tokens: { refillRate: input.refillRate, capacity: input.capacity },
      choice: { series: input.series, events: input.event, markets: input.market }
    }
    const frames: Layer.Layer<FrameSource, SettingError, RecordedRows | GapSpans | ExchangeTime> =
      input.source === "journal" ? layerJournal : layerDatabase
    return yield* serve(input.source, input.start === "now").pipe(
      Effect.provide(ReplayServer.layer(options).pipe(Layer.provide(frames))),
      Effect.catchTag("ReplayError", ({ problem }) =>
        Effect.fail(new SettingError({ setting: `--source ${input.source}`, problem, fix: "see the log" }))
      )
    )
  })
)

const Store = Layer.mergeAll(ReplayCatalog.layer, RecordedRows.layer, GapSpans.layer).pipe(
  Layer.provideMerge(SchemaCheck.pipe(Layer.provide(Migrations.layer))),
  Layer.provideMerge(Database.layerEmbeddedOrUrl({ applicationName: "kalshi-ingestor replay" }))
)

/** `node dist/replay.js`: one JSON line when it listens, then serves until told to stop. */
export const replayCommand = command.pipe(
  Command.provide(Layer.mergeAll(Store, ExchangeTime.layer)),
  Command.run({ version }),
  Effect.provide(Layer.mergeAll(presenter("replay"), NodeServices.layer))
)
