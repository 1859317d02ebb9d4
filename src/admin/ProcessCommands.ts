import * as Console from "effect/Console"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ExitCode } from "../runtime/ExitCode.ts"
import { levels } from "../runtime/LogControl.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { admin } from "./AdminFlags.ts"
import type * as Facts from "./Facts.ts"
import { confirm, show } from "./Show.ts"
import { bytes, plain, seconds, table } from "./Table.ts"
import * as Targets from "./Targets.ts"

const everyTarget = (services: ReadonlyArray<string> = []) =>
  Effect.flatMap(admin, (aim) => Targets.every(aim, services))

/** The same call to each of these programs, at the same time. */
const ask = <A>(targets: ReadonlyArray<Targets.Target>, use: Parameters<Targets.Target["call"]>[0]) =>
  Effect.forEach(targets, (target) => Effect.map(target.call(use), (found) => [target, found as A] as const), {
    concurrency: 8
  })

const partsOf = ({ parts }: Facts.Health) =>
  Object.entries(parts).map(([part, { ageSeconds, detail, ok }]) => [
    `  ${part}`,
    ok ? "ok" : "NOT OK",
    ageSeconds === undefined ? "" : `${seconds(ageSeconds)} old`,
    detail
  ])

const loopRow = (service: string, { endedAt, isPaused, kind, loop, nextAt, passes, phase }: Facts.Loop) => [
  service,
  loop,
  isPaused && phase === "running" ? "running, then paused" : phase,
  kind === "cycle" ? passes : "",
  endedAt?.slice(11, 19) ?? "",
  nextAt?.slice(11, 19) ?? ""
]
const loopColumns = ["program", "loop", "phase", "passes", "ended", "next"]

const status = Command.make("status", {}, () =>
  Effect.gen(function* () {
    const targets = yield* everyTarget()
    const found = yield* Effect.forEach(
      targets,
      (target) => Effect.map(Effect.result(target.call((client) => client.status())), (result) => ({ target, result })),
      { concurrency: 8 }
    )
    const programs = found.flatMap(({ result }) => (result._tag === "Success" ? [result.success] : []))
    const silent = found.flatMap(({ result, target }) =>
      result._tag === "Failure" ? [{ program: target.name, problem: result.failure.message }] : []
    )
    if (programs.length === 0) return yield* Effect.fromResult(found[0]!.result)
    const isWell = silent.length === 0 && programs.every(({ health }) => health.ok)
    yield* show({ ok: isWell, programs, silent }, [
      ...table(
        ["program", "health", "up", "memory", "host", "pid", "log", "paused"],
        programs.map((one) => [
          `${one.service}-${one.instance}`,
          one.health.ok ? "ok" : "NOT OK",
          seconds(one.uptimeSeconds),
          bytes(one.memoryBytes),
          one.host,
          one.pid,
          one.logLevel,
          one.loops
            .filter(({ isPaused }) => isPaused)
            .map(({ loop }) => loop)
            .join(", ")
        ])
      ),
      "",
      ...programs.flatMap((one) => [
        `${one.service}-${one.instance}  ${one.version}, Node ${one.node}, ${one.database}`,
        ...table(["  part", "", "", ""], partsOf(one.health)).slice(1)
      ]),
      ...silent.map(({ problem }) => problem)
    ])
    if (!isWell) return yield* new ExitCode({ code: 2 })
  })
).pipe(Command.withDescription("how every program is; exit code 2 when one is not well"))

const health = Command.make("health", {}, () =>
  Effect.gen(function* () {
    const found = yield* ask<Facts.Health>(yield* everyTarget(), (client) => client.health())
    yield* show(
      Object.fromEntries(found.map(([{ name }, one]) => [name, one])),
      found.flatMap(([{ name }, one]) => [
        `${name}  ${one.ok ? "ok" : "NOT OK"}`,
        ...table(["  part", "", "", ""], partsOf(one)).slice(1)
      ])
    )
    if (found.some(([, { ok }]) => !ok)) return yield* new ExitCode({ code: 2 })
  })
).pipe(Command.withDescription("the parts of every program; exit code 2 when one is not well"))

const config = Command.make(
  "config",
  { all: Flag.Boolean("all").pipe(Flag.withDescription("defaults too"), Flag.withDefault(false)) },
  Effect.fnUntraced(function* ({ all }) {
    const found = yield* ask<ReadonlyArray<Facts.ConfigEntry>>(yield* everyTarget(), (client) => client.config())
    const shown = found.map(([{ name }, entries]) => [name, entries.filter(({ isSet }) => all || isSet)] as const)
    yield* show(
      Object.fromEntries(shown),
      shown.flatMap(([name, entries]) => [name, ...entries.map((one) => plain(`  ${one.name}=${one.value}`))])
    )
  })
).pipe(Command.withDescription("the settings in force; secrets are hidden"))

const metrics = Command.make("metrics", {}, () =>
  Effect.gen(function* () {
    const found = yield* ask<string>(yield* everyTarget(), (client) => client.metrics())
    yield* show(
      Object.fromEntries(found.map(([{ name }, text]) => [name, text])),
      found.flatMap(([{ name }, text]) => [`# ${name}`, text.trimEnd()])
    )
  })
).pipe(Command.withDescription("Prometheus text of every program"))

const loopName = Argument.String("loop").pipe(Argument.withDescription("its name, as loops shows it"))

const listLoops = Effect.gen(function* () {
  const found = yield* ask<ReadonlyArray<Facts.Loop>>(yield* everyTarget(), (client) => client.loops())
  yield* show(
    Object.fromEntries(found.map(([{ name }, loops]) => [name, loops])),
    table(
      loopColumns,
      found.flatMap(([{ name }, loops]) => loops.map((loop) => loopRow(name, loop)))
    )
  )
})

/** Does something to a loop in every program that has it. */
const onLoop = (verb: "pause" | "resume" | "run", description: string) =>
  Command.make(
    verb,
    { loop: loopName },
    Effect.fnUntraced(function* ({ loop }) {
      const all = yield* ask<ReadonlyArray<Facts.Loop>>(yield* everyTarget(), (client) => client.loops())
      const having = all.filter(([, loops]) => loops.some((one) => one.loop === loop))
      if (having.length === 0)
        return yield* new SettingError({
          setting: "loop",
          problem: `no program has a loop "${loop.slice(0, 60)}"`,
          fix: `name one of ${[...new Set(all.flatMap(([, loops]) => loops.map((one) => one.loop)))].sort().join(", ")}`
        })
      const found = yield* ask<Facts.Loop>(
        having.map(([target]) => target),
        (client) =>
          verb === "pause"
            ? client.pauseLoop({ loop })
            : verb === "resume"
              ? client.resumeLoop({ loop })
              : client.runLoop({ loop })
      )
      yield* show(
        Object.fromEntries(found.map(([{ name }, one]) => [name, one])),
        table(
          loopColumns,
          found.map(([{ name }, one]) => loopRow(name, one))
        )
      )
    })
  ).pipe(Command.withDescription(description))

const loops = Command.make("loops", {}, () => listLoops).pipe(
  Command.withDescription("what every program does, and when it did it last"),
  Command.withSubcommands([
    Command.make("list", {}, () => listLoops).pipe(Command.withDescription("the same")),
    onLoop("pause", "no further pass begins, until resume or a restart"),
    onLoop("resume", "passes go on"),
    onLoop("run", "a pass now; waits for its end")
  ])
)

const logLevel = Command.make(
  "log-level",
  { level: Argument.Literals("level", levels).pipe(Argument.optional) },
  Effect.fnUntraced(function* ({ level }) {
    const targets = yield* everyTarget()
    if (Option.isSome(level)) yield* ask(targets, (client) => client.setLogLevel({ level: level.value }))
    const found = yield* ask<string>(targets, (client) => client.logLevel())
    yield* show(
      Object.fromEntries(found.map(([{ name }, one]) => [name, one])),
      table(
        ["program", "level"],
        found.map(([{ name }, one]) => [name, one])
      )
    )
  })
).pipe(Command.withDescription("how much is logged; sets it until the program ends"))

const drain = Command.make("drain", {}, () =>
  Effect.gen(function* () {
    const targets = yield* everyTarget()
    yield* confirm(`stop ${targets.map(({ name }) => name).join(", ")}`)
    yield* ask(targets, (client) => client.drain())
    yield* show({ draining: targets.map(({ name }) => name) }, [
      `told to finish and end: ${targets.map(({ name }) => name).join(", ")}`
    ])
  })
).pipe(Command.withDescription("lets programs finish what they do and end, as SIGTERM does"))

const tail = Command.make(
  "tail",
  {
    level: Flag.Literals("level", levels).pipe(Flag.withDescription("as severe as this, or more"), Flag.optional),
    loop: Flag.String("loop").pipe(Flag.withDescription("only what this loop says"), Flag.optional),
    lines: Flag.Int("lines").pipe(
      Flag.withDescription("end after so many"),
      Flag.filter(
        (count) => count >= 1,
        () => "--lines is 1 or more"
      ),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ level, lines, loop }) {
    const { json } = yield* admin
    const targets = yield* everyTarget()
    const asked = {
      ...(Option.isSome(level) ? { level: level.value } : {}),
      ...(Option.isSome(loop) ? { loop: loop.value } : {})
    }
    const printed = (name: string, line: Facts.LogLine) =>
      json
        ? JSON.stringify({ program: name, ...line })
        : [
            line.at.slice(11, 23),
            line.level.toUpperCase().padEnd(5),
            name,
            plain(line.message),
            ...Object.entries(line.annotations)
              .filter(([key]) => key !== "service")
              .map(([key, value]) => plain(`${key}=${value}`)),
            ...(line.cause === undefined ? [] : [["", ...line.cause.split("\n").map(plain)].join("\n")])
          ].join(" ")
    let left = Option.getOrElse(lines, () => Number.POSITIVE_INFINITY)
    const enough = yield* Deferred.make<void>()
    const follow = ({ call, name }: Targets.Target) =>
      call((client) =>
        Stream.runForEach(client.tail(asked), (line) =>
          Effect.suspend(() => {
            if (left <= 0) return Effect.void
            left -= 1
            return Effect.andThen(
              Console.log(printed(name, line)),
              left > 0 ? Effect.void : Deferred.succeed(enough, undefined)
            )
          })
        )
      ).pipe(Effect.catch(({ message }) => Console.error(`admin: ${message}`)))
    const everyEnd = Effect.forEach(targets, follow, { concurrency: "unbounded", discard: true })
    yield* Effect.raceFirst(
      Deferred.await(enough),
      Effect.andThen(
        everyEnd,
        Effect.suspend(() => Effect.fail(new ExitCode({ code: 1 })))
      )
    )
  })
).pipe(Command.withDescription("what programs log, as they log it; exit code 1 when none of them answers any more"))

export const processCommands = [status, health, config, metrics, loops, logLevel, drain, tail] as const
