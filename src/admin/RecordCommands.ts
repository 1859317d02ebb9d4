import * as path from "node:path"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ExitCode } from "../runtime/ExitCode.ts"
import { admin } from "./AdminFlags.ts"
import { all, given, ids, limit } from "./Given.ts"
import { confirm, progress, show } from "./Show.ts"
import { bytes, table } from "./Table.ts"
import * as Targets from "./Targets.ts"

const one = (...services: ReadonlyArray<string>) => Effect.flatMap(admin, (aim) => Targets.one(aim, services))
const record = Effect.flatMap(admin, (aim) => Targets.record(aim, ["rest", "portal", "ws", "worker", "predictor"]))

const from = Flag.String("from").pipe(Flag.withDescription("an instant, like 2026-11-24T14:00:00Z"), Flag.optional)
const to = Flag.String("to").pipe(Flag.withDescription("its end, excluded; now when left out"), Flag.optional)
const upper = (flag: Option.Option<string>) => Option.map(flag, (text) => text.trim().toUpperCase())

const subscriptions = Command.make("subscriptions", {}, () =>
  Effect.gen(function* () {
    const targets = yield* Effect.flatMap(admin, (aim) => Targets.every(aim, ["ws"]))
    const found = yield* Effect.forEach(targets, ({ call, name }) =>
      Effect.map(
        call((client) => client.subscriptions()),
        (feed) => ({ program: name, ...feed })
      )
    )
    yield* show(
      found,
      table(
        ["program", "link", "channel", "sid", "markets", "left out", "slots", "last frame"],
        found.flatMap(({ channels, connected, lastFrameAt, program, slots }) =>
          channels.map(({ channel, leftOut, markets, sid }) => [
            program,
            connected ? "open" : "CLOSED",
            channel,
            sid,
            markets.length,
            leftOut.length,
            slots.length,
            lastFrameAt?.slice(11, 19)
          ])
        )
      )
    )
  })
).pipe(Command.withDescription("what of the live feed is subscribed"))

const resubscribe = Command.make(
  "resubscribe",
  {
    reconnect: Flag.Boolean("reconnect").pipe(
      Flag.withDescription("on a new connection; the hole is a gap"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ reconnect }) {
    const targets = yield* Effect.flatMap(admin, (aim) => Targets.every(aim, ["ws"]))
    if (reconnect) yield* confirm(`cut the live feed of ${targets.map(({ name }) => name).join(", ")} and connect anew`)
    const found = yield* Effect.forEach(targets, ({ call, name }) =>
      Effect.map(
        call((client) => client.resubscribe({ reconnect })),
        (feed) => ({ program: name, ...feed })
      )
    )
    yield* show(
      found,
      found.map(
        ({ channels, program }) =>
          `${program}: ${channels.map(({ channel, markets }) => `${channel} ${markets.length}`).join(", ")}`
      )
    )
  })
).pipe(Command.withDescription("goes through the subscriptions again, markets that the feed refused included"))

const rotateKey = Command.make(
  "rotate-key",
  {
    keyId: Flag.String("key-id").pipe(Flag.withDescription("id of the new API key")),
    keyFile: Flag.String("key-file").pipe(Flag.withDescription("file of its private key, readable by its owner alone"))
  },
  Effect.fnUntraced(function* ({ keyFile, keyId }) {
    const file = path.resolve(keyFile)
    const targets = yield* Effect.flatMap(admin, (aim) => Targets.every(aim, ["rest", "ws", "worker"]))
    const found = yield* Effect.forEach(targets, ({ call, name }) =>
      Effect.map(Effect.result(call((client) => client.rotateKey({ keyId, path: file }))), (result) => ({
        program: name,
        rotated: result._tag === "Success",
        problem: result._tag === "Failure" ? result.failure.message : ""
      }))
    )
    const failed = found.filter(({ rotated }) => !rotated)
    yield* show({ ok: failed.length === 0, programs: found }, [
      ...found.map(({ problem, program, rotated }) => `${program}: ${rotated ? "signs with the new key" : problem}`),
      ...(failed.length === found.length
        ? []
        : [`set KALSHI_API_KEY_ID=${keyId} and KALSHI_PRIVATE_KEY_PEM_PATH=${file} before the next start`])
    ])
    if (failed.length > 0) return yield* new ExitCode({ code: 1 })
  })
).pipe(Command.withDescription("changes the API key of rest, ws and workers while they run, if the exchange takes it"))

const listGaps = Command.make(
  "list",
  {
    state: Flag.Literals("state", ["open", "waiting", "repaired", "all"]).pipe(
      Flag.withDescription("waiting: over, and not repaired yet"),
      Flag.withDefault("all")
    ),
    from,
    to,
    limit
  },
  Effect.fnUntraced(function* (flags) {
    const target = yield* record
    const gaps = yield* target.call((client) =>
      client.gaps({ state: flags.state, limit: flags.limit, ...given("from", flags.from), ...given("to", flags.to) })
    )
    yield* show(
      gaps,
      table(
        ["id", "feed", "from", "to", "cause", "markets", "repaired by", "why not yet"],
        gaps.map((gap) => [
          gap.id,
          gap.feed,
          gap.from.slice(0, 19),
          gap.to?.slice(0, 19) ?? "still open",
          gap.cause,
          gap.market ?? (gap.slots === null ? "all" : `${gap.slots.length} slots`),
          gap.repairedBy,
          gap.problem
        ])
      )
    )
  })
).pipe(Command.withDescription("holes of the record, the newest first"))

const repairGaps = Command.make(
  "repair",
  { ids },
  Effect.fnUntraced(function* ({ ids }) {
    const target = yield* Effect.flatMap(admin, (aim) => Targets.record(aim, ["rest"]))
    const { count } = yield* target.call((client) => client.repairGaps({ ids }))
    yield* show({ count }, [
      `${count} of ${ids.length} gaps ${target.answeredBy() === "database" ? "are tried first when rest runs" : "are being repaired"}`
    ])
    yield* all(count, ids)
  })
).pipe(Command.withDescription("tries gaps again now; exit code 2 when one is open, repaired or unknown"))

const gaps = Command.make("gaps").pipe(
  Command.withDescription("the gap ledger"),
  Command.withSubcommands([listGaps, repairGaps])
)

const backfill = Command.make(
  "backfill",
  {
    series: Flag.String("series").pipe(Flag.withDescription("a series, e.g. KXBTCD"), Flag.optional),
    event: Flag.String("event").pipe(Flag.withDescription("one event"), Flag.optional),
    market: Flag.String("market").pipe(Flag.withDescription("one market"), Flag.optional),
    from,
    to
  },
  Effect.fnUntraced(function* (flags) {
    const target = yield* one("rest", "worker")
    const last = yield* target.call((client) =>
      progress(
        client.backfill({
          ...given("series", upper(flags.series)),
          ...given("event", upper(flags.event)),
          ...given("market", upper(flags.market)),
          ...given("from", flags.from),
          ...given("to", flags.to)
        })
      )
    )
    yield* show({ markets: last.total ?? 0, problems: last.notes }, [
      `candles and trades of ${last.total ?? 0} markets were gone through`,
      ...last.notes
    ])
    if (last.notes.length > 0) return yield* new ExitCode({ code: 2 })
  })
).pipe(Command.withDescription("brings candles and trades of a range; exit code 2 when some could not be read"))

const reprocess = Command.make(
  "reprocess",
  { from: Flag.String("from").pipe(Flag.withDescription("first instant of reception, like 2026-11-24T14:00:00Z")), to },
  Effect.fnUntraced(function* (flags) {
    const targets = yield* Effect.flatMap(admin, (aim) => Targets.every(aim, ["ws"]))
    const last = yield* targets[0]!.call((client) =>
      progress(client.reprocess({ from: flags.from, ...given("to", flags.to) }))
    )
    yield* show({ frames: last.done, note: last.note }, [`${last.done} frames were read again: ${last.note}`])
  })
).pipe(Command.withDescription("reads kept frames of this machine's journals again"))

const listQuarantine = Command.make(
  "list",
  { from, to, limit },
  Effect.fnUntraced(function* (flags) {
    const target = yield* record
    const rows = yield* target.call((client) =>
      client.quarantine({ limit: flags.limit, ...given("from", flags.from), ...given("to", flags.to) })
    )
    yield* show(
      rows,
      table(
        ["id", "received", "size", "cause", "begins with"],
        rows.map((row) => [
          row.id,
          (row.receivedAt ?? row.at).slice(0, 19),
          bytes(row.bytes),
          row.cause,
          row.raw.slice(0, 50)
        ])
      )
    )
  })
).pipe(Command.withDescription("frames that could not be read or stored, the newest first"))

const retryQuarantine = Command.make(
  "retry",
  { ids },
  Effect.fnUntraced(function* ({ ids }) {
    const target = yield* one("ws")
    const done = yield* target.call((client) => client.retryQuarantined({ ids }))
    yield* show(done, [
      `${done.stored} stored, ${done.refused} refused again${done.unknown > 0 ? `, ${done.unknown} not in quarantine` : ""}`
    ])
    yield* all(done.stored, ids)
  })
).pipe(
  Command.withDescription("reads frames again with this version; exit code 2 when one is refused again or unknown")
)

const dropQuarantine = Command.make(
  "drop",
  { ids },
  Effect.fnUntraced(function* ({ ids }) {
    yield* confirm(`delete ${ids.length} frames for good`)
    const target = yield* Effect.flatMap(admin, (aim) => Targets.record(aim, ["ws"]))
    const { count } = yield* target.call((client) => client.dropQuarantined({ ids }))
    yield* show({ count }, [`${count} of ${ids.length} frames were deleted`])
    yield* all(count, ids)
  })
).pipe(Command.withDescription("deletes frames; exit code 2 when one is unknown"))

const quarantine = Command.make("quarantine").pipe(
  Command.withDescription("frames that were put aside"),
  Command.withSubcommands([listQuarantine, retryQuarantine, dropQuarantine])
)

export const recordCommands = [subscriptions, resubscribe, rotateKey, gaps, backfill, reprocess, quarantine] as const
