import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ArchiveText from "../admin/ArchiveText.ts"
import * as Table from "../admin/Table.ts"
import { Archive } from "../ingest/Archive.ts"
import * as ArchiveStatus from "../ingest/ArchiveStatus.ts"
import { Retention } from "../ingest/Retention.ts"
import { ExitCode } from "../runtime/ExitCode.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { ArchiveLedger } from "../store/ArchiveLedger.ts"

const json = Flag.Boolean("json").pipe(
  Flag.withDescription("one JSON object on the last line of standard output"),
  Flag.withDefault(false)
)

const status = Command.make(
  "status",
  { json },
  Effect.fn("archive.status")(function* (flags) {
    const found = yield* ArchiveStatus.read
    yield* Console.log(flags.json ? JSON.stringify(found) : ArchiveText.lines(found, null).join("\n"))
  })
).pipe(Command.withDescription("what is archived, what left the database, and how the last pass went"))

const run = Command.make(
  "run",
  { json },
  Effect.fn("archive.run")(function* (flags) {
    const done = yield* (yield* Retention).pass
    yield* Console.log(
      flags.json
        ? JSON.stringify(done)
        : done.busy
          ? "another process archives"
          : [
              `archived ${done.archived.length} partitions: ${done.rows} rows in ${Table.bytes(done.bytes)}`,
              `${done.detached.length} partitions left the database`,
              ...done.waiting.map(({ partition, problem }) => `${partition} waits: ${problem}`)
            ].join("\n")
    )
    if (done.busy || done.waiting.length > 0) return yield* new ExitCode({ code: 1 })
  })
).pipe(Command.withDescription("one pass: archive what is finished, let go of what is old"))

const verify = Command.make(
  "verify",
  {
    json,
    dataset: Flag.String("dataset").pipe(Flag.withDescription("only this one, like ticks_20261120"), Flag.optional),
    deep: Flag.Boolean("deep").pipe(
      Flag.withDescription("read every row, too, and compare counts and checksums of each column"),
      Flag.withDefault(false)
    )
  },
  Effect.fn("archive.verify")(function* (flags) {
    const archive = yield* Archive
    const all = yield* (yield* ArchiveLedger).list
    const asked = all.filter(({ name }) => Option.isNone(flags.dataset) || flags.dataset.value === name)
    if (Option.isSome(flags.dataset) && asked.length === 0)
      return yield* new SettingError({
        setting: "--dataset",
        problem: `"${flags.dataset.value}" is not archived`,
        fix: "node dist/archive.js status lists what is"
      })
    const faults: Array<{ dataset: string; problem: string }> = []
    for (const dataset of asked) {
      const problem = (yield* archive.faultIn(dataset)) ?? (flags.deep ? yield* archive.compare(dataset) : undefined)
      if (problem !== undefined) faults.push({ dataset: dataset.name, problem })
    }
    yield* Console.log(
      flags.json
        ? JSON.stringify({ verified: asked.length - faults.length, faults })
        : [
            ...faults.map(({ dataset, problem }) => `${dataset}: ${problem}`),
            `${asked.length - faults.length} of ${asked.length} datasets are as they were written`
          ].join("\n")
    )
    if (faults.length > 0) return yield* new ExitCode({ code: 1 })
  })
).pipe(Command.withDescription("compare the files with what was written"))

const live = Command.make(
  "live",
  { json },
  Effect.fn("archive.live")(function* (flags) {
    const archive = yield* Archive
    if (!(yield* archive.hold)) {
      yield* Console.log(flags.json ? JSON.stringify({ busy: true }) : "another process archives")
      return yield* new ExitCode({ code: 1 })
    }
    const rows = yield* archive.live
    yield* archive.describe
    yield* Console.log(
      flags.json ? JSON.stringify({ rows, busy: false }) : `${rows} rows that only the database has are in live/`
    )
  }, Effect.scoped)
).pipe(Command.withDescription("copy what is not archived yet, today included, to live/: the views show it, too"))

export const archiveCommand = Command.make("archive").pipe(
  Command.withDescription("Parquet files of what is finished, in ARCHIVE_DIR"),
  Command.withSubcommands([status, run, verify, live])
)
