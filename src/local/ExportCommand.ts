import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Table from "../admin/Table.ts"
import { SettingError } from "../runtime/SettingError.ts"
import type { FileFormat } from "../store/ArchiveStage.ts"
import { archivedTables } from "../store/ArchiveTables.ts"
import { Export } from "../store/Export.ts"

const everyMillis = 2_000

const instant = Effect.fnUntraced(function* (flag: string, text: string) {
  const millis = Date.parse(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
  if (Number.isNaN(millis) || !/^\d{4}-\d\d-\d\d($|.*([zZ]|[+-]\d\d:\d\d)$)/.test(text))
    return yield* new SettingError({
      setting: flag,
      problem: `"${text.slice(0, 40)}" is neither a day nor an instant with its zone`,
      fix: "write it like 2026-11-24 or 2026-11-24T14:00:00Z"
    })
  return millis
})

const formatOf = (file: string): FileFormat | undefined =>
  ({ ".parquet": "parquet", ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson" })[
    path.extname(file).toLowerCase()
  ] as FileFormat | undefined

/** Days are UTC; `--to` is excluded. */
export const exportCommand = Command.make(
  "export",
  {
    table: Flag.Literals("table", archivedTables).pipe(Flag.withDefault("ticks")),
    market: Flag.String("market").pipe(Flag.withDescription("ticker; may be given again"), Flag.atLeast(0)),
    series: Flag.String("series").pipe(
      Flag.withDescription("every market of a series; may be given again"),
      Flag.atLeast(0)
    ),
    from: Flag.String("from").pipe(Flag.withDescription("first day (UTC) or instant, like 2026-11-24")),
    to: Flag.String("to").pipe(Flag.withDescription("end, excluded, like 2026-11-25")),
    out: Flag.String("out").pipe(Flag.withDescription("the file that is made; one of that name is replaced")),
    format: Flag.Literals("format", ["parquet", "csv", "ndjson"]).pipe(
      Flag.withDescription("what the file's name says, when left out"),
      Flag.optional
    ),
    json: Flag.Boolean("json").pipe(Flag.withDefault(false))
  },
  Effect.fn("exportCommand")(function* (flags) {
    const fromMillis = yield* instant("--from", flags.from)
    const toMillis = yield* instant("--to", flags.to)
    if (toMillis <= fromMillis)
      return yield* new SettingError({
        setting: "--to",
        problem: "it is not after --from",
        fix: "it is excluded: a day's end is the next day"
      })
    const format = Option.getOrUndefined(flags.format) ?? formatOf(flags.out)
    if (format === undefined)
      return yield* new SettingError({
        setting: "--format",
        problem: `the name ${path.basename(flags.out)} does not say it`,
        fix: "end the name with .parquet, .csv or .ndjson, or give --format"
      })
    const last = yield* Ref.make(yield* Clock.currentTimeMillis)
    const told = Effect.fnUntraced(function* (rows: number) {
      const now = yield* Clock.currentTimeMillis
      if (now - (yield* Ref.get(last)) < everyMillis) return
      yield* Ref.set(last, now)
      yield* Console.error(`export: ${rows} rows read`)
    })
    const done = yield* (yield* Export).write(
      {
        table: flags.table,
        ...(flags.market.length === 0 ? {} : { tickers: flags.market }),
        ...(flags.series.length === 0 ? {} : { series: flags.series }),
        fromMillis,
        toMillis,
        file: flags.out,
        format
      },
      told
    )
    yield* Console.log(
      flags.json
        ? JSON.stringify({ file: flags.out, ...done })
        : `${flags.out}: ${done.rows} rows (${done.archived} of them from the archive), ${Table.bytes(done.bytes)}`
    )
  })
).pipe(
  Command.withDescription(
    "Rows of markets and days as one Parquet, CSV or NDJSON file, sorted by series, ticker and time"
  )
)
