import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as SqlClient from "effect/sql/SqlClient"
import { Importer, type ImportReport } from "../ingest/Importer.ts"
import { ImportTables } from "../ingest/ImportTables.ts"
import * as IngestConfig from "../ingest/IngestConfig.ts"
import * as CommandLine from "../runtime/CommandLine.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { version } from "../runtime/Version.ts"
import { Database, databaseSettings } from "../store/Database.ts"
import { DatabaseRoles } from "../store/DatabaseRoles.ts"
import { ImportedCatalog } from "../store/ImportedCatalog.ts"
import { ImportedDocuments } from "../store/ImportedDocuments.ts"
import { ImportedForecasts } from "../store/ImportedForecasts.ts"
import { ImportedHistory } from "../store/ImportedHistory.ts"
import { ImportLedger } from "../store/ImportLedger.ts"
import { MarketKeys } from "../store/MarketKeys.ts"
import { Migrations } from "../store/Migrations.ts"
import { OriginalDatabase, placeOf } from "../store/OriginalDatabase.ts"
import type { OriginalTable } from "../store/OriginalRows.ts"
import { Partitions } from "../store/Partitions.ts"
import { sqlProblem } from "../store/SqlProblem.ts"
import * as ImportText from "./ImportText.ts"

const target = Database.layerEmbeddedOrUrl({ applicationName: "migrator" })

const migrate = Effect.gen(function* () {
  const database = yield* Database
  const migrations = yield* Migrations
  const applied = yield* migrations.run
  for (const { file } of applied) yield* Effect.logInfo("applied", { file })
  yield* Effect.logInfo("database is up to date", { database: database.address, applied: applied.length })
}).pipe(
  Effect.catchTag("MigrationError", ({ file, problem }) =>
    Effect.fail(new SettingError({ setting: file, problem, fix: "the database was left as it was" }))
  ),
  Effect.provide(Migrations.layer)
)

const stopped = (problem: string, fix: string) => new SettingError({ setting: "import", problem, fix })
const again = "run it again: it goes on where it stopped"

const everyMillis = 2_000

/** A line on standard error every 2 s, and one when a table is done. */
const progressLines = Effect.map(Ref.make(0), (last) =>
  Effect.fnUntraced(function* (table: OriginalTable, read: number, source: number) {
    const now = yield* Clock.currentTimeMillis
    if (read < source && now - (yield* Ref.get(last)) < everyMillis) return
    yield* Ref.set(last, now)
    yield* Console.error(`import: ${table} ${read} of ${source}`)
  })
)

const refuseItself = Effect.gen(function* () {
  const place = yield* placeOf(yield* SqlClient.SqlClient)
  if (place === (yield* OriginalDatabase).place)
    return yield* new SettingError({
      setting: "--from",
      problem: "it is the database of DATABASE_URL itself",
      fix: "give the original's rows a database of ours to go to"
    })
})

const importInto = Effect.fn("migrator.import")(function* (batchRows: number) {
  const onBatch = yield* progressLines
  yield* refuseItself
  yield* migrate
  return yield* Importer.use((importer) => importer.run({ batchRows, onBatch })).pipe(
    Effect.provide(
      Importer.layer.pipe(
        Layer.provide(ImportTables.layer),
        Layer.provide([
          ImportLedger.layer,
          ImportedCatalog.layer,
          ImportedForecasts.layer,
          ImportedDocuments.layer,
          ImportedHistory.layer.pipe(Layer.provide([MarketKeys.layer, Partitions.layer]))
        ])
      )
    )
  )
})

const print = Effect.fnUntraced(function* (report: ImportReport, json: boolean) {
  yield* Console.log(ImportText.text(report))
  if (json) yield* Console.log(JSON.stringify(report))
  if (report.reconciled) return
  const tables = Object.entries(report.tables).filter(
    ([, one]) => one.source !== one.imported + one.already + one.refused
  )
  return yield* stopped(`counts do not reconcile in ${tables.map(([name]) => name).join(", ")}`, "run it again")
})

const importCommand = Command.make(
  "import",
  {
    from: Flag.String("from").pipe(
      Flag.optional,
      Flag.withDescription("postgres://user:password@host:5432/database of the Python original; or set IMPORT_FROM")
    ),
    batch: Flag.Int("batch").pipe(Flag.withDefault(10_000), Flag.withDescription("most rows of one transaction")),
    json: Flag.Boolean("json").pipe(
      Flag.withDefault(false),
      Flag.withDescription("one JSON object as the last line of standard output")
    )
  },
  Effect.fnUntraced(function* ({ batch, from, json }) {
    if (batch < 1 || batch > 100_000)
      return yield* new SettingError({
        setting: "--batch",
        problem: `${batch} is not 1 to 100000`,
        fix: "leave it out"
      })
    const { pool } = yield* Setting.read({ pool: databaseSettings.pool })
    if (pool < 2)
      return yield* new SettingError({
        setting: "PG_POOL",
        problem: "1 is too few for an import",
        fix: "set PG_POOL=2 or more"
      })
    const source = Option.isSome(from)
      ? { setting: "--from", url: Redacted.make(from.value) }
      : {
          setting: "IMPORT_FROM",
          url: (yield* Setting.read({
            from: Setting.required(
              IngestConfig.importer.from,
              "give --from postgres://user:password@host:5432/database"
            )
          })).from
        }
    const report = yield* importInto(batch).pipe(
      Effect.provide(target.pipe(Layer.provideMerge(OriginalDatabase.layer(source)))),
      Effect.catchTag("ImportBusy", ({ message }) => Effect.fail(stopped(message, "wait until it has ended"))),
      Effect.catchTag("SqlError", (error) => Effect.fail(stopped(`it was stopped (${sqlProblem(error)})`, again))),
      // A stop signal is no success here: not all of the source was brought over.
      Effect.onInterrupt(() => {
        const told = stopped("it was told to stop", again)
        return Effect.andThen(Console.error(told.message), Effect.die(told))
      })
    )
    yield* print(report, json)
  })
).pipe(Command.withDescription("Brings a database of the Python original over (schema version 3)"))

const rolesCommand = Command.make(
  "roles",
  {},
  Effect.fnUntraced(function* () {
    const { logins } = yield* DatabaseRoles.use((roles) => roles.applySettings)
    const made = Object.entries(logins).map(([role, user]) => `${role} logs in as ${user}`)
    yield* Console.log([`${(yield* Database).address}: every role has its grants`, ...made].join("; "))
  })
).pipe(
  Command.withDescription(
    "Grants each program what it needs, and makes the users of DATABASE_URL_REST, DATABASE_URL_WS, …"
  ),
  Command.provide(DatabaseRoles.layer.pipe(Layer.provideMerge(target)))
)

const command = Command.make("migrator", {}, () => migrate.pipe(Effect.provide(target))).pipe(
  Command.withDescription("Brings the database up to date"),
  Command.withSubcommands([importCommand, rolesCommand])
)

/** `node dist/migrator.js`: applies what is pending in `sql/`; `roles`: grants and users; `import`: brings a database of the Python original over. */
export const migratorCommand = Command.run(command, { version }).pipe(
  Effect.provide(Layer.merge(NodeServices.layer, CommandLine.presenter("migrator")))
)
