import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ExitCode } from "../runtime/ExitCode.ts"
import { admin } from "./AdminFlags.ts"
import * as ArchiveText from "./ArchiveText.ts"
import { all, given, ids, limit } from "./Given.ts"
import { confirm, show } from "./Show.ts"
import { bytes, table } from "./Table.ts"
import * as Targets from "./Targets.ts"

const record = Effect.flatMap(admin, (aim) => Targets.record(aim, ["rest", "portal", "worker", "ws", "predictor"]))

/** Those that may have ARCHIVE_DIR. */
const archiving = Effect.flatMap(admin, (aim) => Targets.record(aim, ["rest", "worker"]))

const type = Flag.String("type").pipe(Flag.withDescription("jobs of this type, e.g. backfill_market"), Flag.optional)

const listJobs = Command.make(
  "list",
  {
    status: Flag.Literals("status", ["pending", "running", "done", "failed"]).pipe(Flag.optional),
    type,
    limit
  },
  Effect.fnUntraced(function* (flags) {
    const target = yield* record
    const jobs = yield* target.call((client) =>
      client.jobs({ limit: flags.limit, ...given("status", flags.status), ...given("type", flags.type) })
    )
    yield* show(
      jobs,
      table(
        ["id", "type", "status", "priority", "attempts", "about", "entered", "held by", "last error"],
        jobs.map((job) => [
          job.id,
          job.type,
          job.status,
          job.priority,
          `${job.attempts}/${job.maxAttempts}`,
          job.about,
          job.createdAt.slice(0, 19),
          job.lockedBy,
          job.lastError
        ])
      )
    )
  })
).pipe(Command.withDescription("jobs of the queue, the newest first"))

const retryJobs = Command.make(
  "retry",
  { ids },
  Effect.fnUntraced(function* ({ ids }) {
    const { count } = yield* (yield* record).call((client) => client.retryJobs({ ids }))
    yield* show({ count }, [`${count} of ${ids.length} dead letters live again`])
    yield* all(count, ids)
  })
).pipe(Command.withDescription("gives dead letters a new set of attempts; exit code 2 when one is none"))

const cancelJobs = Command.make(
  "cancel",
  { ids, why: Flag.String("why").pipe(Flag.withDescription("kept with the jobs"), Flag.withDefault("cancelled")) },
  Effect.fnUntraced(function* ({ ids, why }) {
    yield* confirm(`cancel ${ids.length} jobs`)
    const { count } = yield* (yield* record).call((client) => client.cancelJobs({ ids, why }))
    yield* show({ count }, [`${count} of ${ids.length} jobs were cancelled`])
    yield* all(count, ids)
  })
).pipe(
  Command.withDescription(
    "makes dead letters of unfinished jobs, who runs one loses it; exit code 2 when one is done or unknown"
  )
)

const purgeJobs = Command.make(
  "purge",
  {
    status: Argument.Literals("status", ["pending", "done", "failed"]),
    type,
    olderThan: Flag.Finite("older-than-hours").pipe(
      Flag.withDescription("entered, or ended, longer ago than this"),
      Flag.filter(
        (hours) => hours >= 0,
        () => "--older-than-hours is not negative"
      ),
      Flag.withDefault(0)
    )
  },
  Effect.fnUntraced(function* ({ olderThan, status, type }) {
    yield* confirm(
      `delete ${status} jobs${Option.isSome(type) ? ` of type ${type.value}` : ""}${olderThan > 0 ? ` older than ${olderThan} h` : ""}`
    )
    const { count } = yield* (yield* record).call((client) =>
      client.purgeJobs({ status, olderThanSeconds: olderThan * 3600, ...given("type", type) })
    )
    yield* show({ count }, [`${count} jobs were deleted`])
  })
).pipe(Command.withDescription("deletes jobs"))

const jobs = Command.make("jobs").pipe(
  Command.withDescription("the work queue"),
  Command.withSubcommands([listJobs, retryJobs, cancelJobs, purgeJobs])
)

const partitions = Command.make("partitions", {}, () =>
  Effect.gen(function* () {
    const rows = yield* (yield* record).call((client) => client.partitions())
    yield* show(
      rows,
      table(
        ["table", "partition", "from", "to", "rows", "size"],
        rows.map((row) => [row.table, row.partition, row.from, row.to, row.rows, bytes(row.bytes)])
      )
    )
  })
).pipe(Command.withDescription("the partitions of tables; rows are estimates"))

const archiveStatus = Command.make("status", {}, () =>
  Effect.gen(function* () {
    const found = yield* (yield* archiving).call((client) => client.archive())
    yield* show(found, ArchiveText.lines(found, found.loop))
    if (!ArchiveText.isWell(found)) return yield* new ExitCode({ code: 2 })
  })
).pipe(
  Command.withDescription(
    "what is archived and what left the database, how the last pass went, what is set; exit code 2 when something waits"
  )
)

const archive = Command.make("archive").pipe(
  Command.withDescription("Parquet files of what is finished"),
  Command.withSubcommands([archiveStatus])
)

const budget = Command.make("budget", {}, () =>
  Effect.gen(function* () {
    const rows = yield* (yield* record).call((client) => client.budget())
    yield* show(
      rows,
      table(
        ["account", "tokens left", "of", "a second"],
        rows.map((row) => [
          row.key,
          Math.round(row.tokens),
          Math.round(row.capacity),
          Number(row.refillPerSecond.toFixed(1))
        ])
      )
    )
  })
).pipe(Command.withDescription("what is left of the exchange's calls; below 0: promised to calls that wait"))

const audit = Command.make(
  "audit",
  { limit },
  Effect.fnUntraced(function* ({ limit }) {
    const rows = yield* (yield* record).call((client) => client.audit({ limit }))
    yield* show(
      rows,
      table(
        ["at", "who", "via", "program", "call", "payload", "outcome", "detail"],
        rows.map((row) => [
          row.at.slice(0, 19),
          row.actor,
          row.via,
          row.service,
          row.call,
          row.payload,
          row.outcome ?? "under way",
          row.detail
        ])
      )
    )
  })
).pipe(Command.withDescription("who changed what, the newest first"))

export const storeCommands = [jobs, partitions, archive, budget, audit] as const
