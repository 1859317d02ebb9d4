import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SettingError } from "../runtime/SettingError.ts"
import { Database } from "./Database.ts"
import { Migrations } from "./Migrations.ts"

/** Refuses a database that was not brought up to date, with the command that does it. */
export const SchemaCheck = Layer.effectDiscard(
  Effect.gen(function* () {
    const { address } = yield* Database
    const migrations = yield* Migrations
    const pending = yield* migrations.pending.pipe(
      Effect.mapError(
        ({ file, problem }) =>
          new SettingError({
            setting: "DATABASE_URL",
            problem: `${address} does not fit this version (${file}: ${problem})`,
            fix: "use the version it was made with, or another database"
          })
      )
    )
    if (pending.length > 0)
      return yield* new SettingError({
        setting: "DATABASE_URL",
        problem: `${address} lacks ${pending.length} migrations`,
        fix: "run: node dist/migrator.js"
      })
  })
)
