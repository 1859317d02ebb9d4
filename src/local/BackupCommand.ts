import * as fs from "node:fs"
import * as path from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { fromMillis } from "../market/Timestamp.ts"
import { presenter } from "../runtime/CommandLine.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { version } from "../runtime/Version.ts"
import { listBackups, listUnfinished, type Manifest } from "../store/BackupFiles.ts"
import { Backups } from "../store/Backups.ts"
import { databaseSettings } from "../store/Database.ts"
import { EmbeddedPostgres } from "../store/EmbeddedPostgres.ts"

const json = Flag.Boolean("json").pipe(
  Flag.withDescription("one JSON object as the last line of standard output"),
  Flag.withDefault(false)
)

/** The address of the embedded server of a folder, where one runs there now: `npm start` may go on meanwhile. */
const runningServer = (dataDir: string): Redacted.Redacted<string> | undefined => {
  const read = (file: string) => {
    const at = path.join(dataDir, file)
    return fs.existsSync(at) ? fs.readFileSync(at, "utf8") : ""
  }
  const status = read("postgres/postmaster.pid").split("\n")[7]?.trim()
  const password = read("postgres-password").trim()
  const port = Number(read("postgres-port"))
  return status === "ready" && password !== "" && port > 0
    ? Redacted.make(`postgres://postgres:${password}@127.0.0.1:${port}/kalshi`)
    : undefined
}

/** The database of DATABASE_URL; without it the embedded one, which is started when it does not run. */
const database = Layer.unwrap(
  Effect.gen(function* () {
    const { dataDir, url } = yield* Setting.read(databaseSettings)
    const there = url ?? runningServer(dataDir)
    if (there !== undefined) return Backups.layer(there)
    return Layer.unwrap(EmbeddedPostgres.use((server) => Effect.succeed(Backups.layer(server.url)))).pipe(
      Layer.provide(EmbeddedPostgres.layer({ dataDir }))
    )
  })
)

const progress = ({ rows, table }: { readonly table: string; readonly rows: number }) =>
  rows === 0 ? Effect.void : Console.error(`${table}: ${rows} rows`)

const summary = (directory: string, { createdAt, database: of, schema, tables }: Manifest) => ({
  directory,
  createdAt,
  database: of,
  schema: schema.at(-1)?.version ?? 0,
  tables: tables.length,
  rows: tables.reduce((sum, { rows }) => sum + rows, 0),
  bytes: tables.reduce((sum, { bytes }) => sum + bytes, 0)
})

const line = (one: ReturnType<typeof summary>) =>
  `${one.directory}: ${one.rows} rows of ${one.tables} tables, ${(one.bytes / 1e6).toFixed(1)} MB, schema ${one.schema}, of ${one.createdAt}`

const create = Command.make(
  "create",
  {
    directory: Argument.String("directory").pipe(
      Argument.withDescription("a folder that does not exist yet; default: backups/ in DATA_DIR, named by the instant"),
      Argument.optional
    ),
    json
  },
  Effect.fnUntraced(function* (input) {
    const { dataDir } = yield* Setting.read({ dataDir: databaseSettings.dataDir })
    const stamp = fromMillis(yield* Clock.currentTimeMillis).replace(/[-:]|\.\d+/g, "")
    const directory = Option.getOrElse(input.directory, () => path.join(dataDir, "backups", stamp))
    yield* Effect.try({
      try: () => fs.mkdirSync(path.dirname(path.resolve(directory)), { recursive: true, mode: 0o700 }),
      catch: () =>
        new SettingError({ setting: "directory", problem: `${directory} cannot be made`, fix: "name another folder" })
    })
    const manifest = yield* Backups.use((backups) => backups.create({ directory, onTable: progress })).pipe(
      Effect.provide(database)
    )
    const made = summary(directory, manifest)
    yield* Console.log(input.json ? JSON.stringify(made) : line(made))
  })
).pipe(Command.withDescription("a whole copy of the database, as of one instant; programs go on meanwhile"))

const restore = Command.make(
  "restore",
  {
    directory: Argument.String("directory"),
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("also in the place of a database that holds data, which is then gone"),
      Flag.withDefault(false)
    ),
    json
  },
  Effect.fnUntraced(function* ({ directory, force, json: asJson }) {
    const manifest = yield* Backups.use((backups) => backups.restore({ directory, force, onTable: progress })).pipe(
      Effect.provide(database)
    )
    const done = summary(directory, manifest)
    yield* Console.log(asJson ? JSON.stringify({ ...done, restored: true }) : `restored ${line(done)}`)
  })
).pipe(Command.withDescription("puts a backup in the place of the database: all of it or nothing"))

const list = Command.make(
  "list",
  { directory: Argument.String("directory").pipe(Argument.optional), json },
  Effect.fnUntraced(function* (input) {
    const { dataDir } = yield* Setting.read({ dataDir: databaseSettings.dataDir })
    const directory = Option.getOrElse(input.directory, () => path.join(dataDir, "backups"))
    const found = (yield* listBackups(directory)).map((one) => summary(one.directory, one.manifest))
    for (const left of yield* listUnfinished(directory))
      yield* Console.error(`${left} was interrupted, or is being written: remove it if nobody writes it`)
    if (input.json) return yield* Console.log(JSON.stringify({ backups: found }))
    for (const one of found) yield* Console.log(line(one))
  })
).pipe(Command.withDescription("the whole backups in a folder"))

/** `node dist/backup.js create | restore | list`. */
export const backupCommand = Command.make("backup").pipe(
  Command.withSubcommands([create, restore, list]),
  Command.run({ version }),
  Effect.catchTag("BackupError", ({ fix, problem }) =>
    Effect.fail(new SettingError({ setting: "backup", problem, fix }))
  ),
  Effect.provide(Layer.mergeAll(presenter("backup"), NodeServices.layer))
)
