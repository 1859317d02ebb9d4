import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { runProgram } from "./runtime/Program.ts"
import { SettingError } from "./runtime/SettingError.ts"
import { Database } from "./store/Database.ts"
import { Migrations } from "./store/Migrations.ts"

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
  Effect.provide(
    Migrations.layer.pipe(Layer.provideMerge(Database.layerEmbeddedOrUrl({ applicationName: "migrator" })))
  )
)

runProgram("migrator", migrate)
