import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { Database } from "./Database.ts"
import { Migrations } from "./Migrations.ts"
import * as SchemaSettings from "./SchemaSettings.ts"

/** The number that the Python original's settings carry: its schema is not one of ours. */
const original = 3

const bounds = Effect.fnUntraced(function* (own: number) {
  const { compatMax, compatMin } = yield* Setting.read(SchemaSettings.check)
  const given = [
    ["SCHEMA_COMPAT_MIN", compatMin],
    ["SCHEMA_COMPAT_MAX", compatMax]
  ] as const
  const foreign = given.find(([, value]) => value === original)
  if (foreign !== undefined)
    return yield* new SettingError({
      setting: foreign[0],
      problem: `${original} is the schema of the Python original; these programs have their own numbers, now ${own}`,
      fix: "unset SCHEMA_COMPAT_MIN and SCHEMA_COMPAT_MAX"
    })
  const min = compatMin ?? own
  const max = compatMax ?? own
  if (min > own || max < own)
    return yield* new SettingError({
      setting: min > own ? "SCHEMA_COMPAT_MIN" : "SCHEMA_COMPAT_MAX",
      problem: `${min > own ? min : max} leaves out ${own}, the schema that these programs are made for`,
      fix: "unset it"
    })
  return { min, max }
})

/** Refuses a database whose schema these programs do not know, in one line that says what to do; brings it up to date where that is wanted. */
export const SchemaCheck = Layer.effectDiscard(
  Effect.gen(function* () {
    const { init, validate } = yield* Setting.read(SchemaSettings.check)
    const { address } = yield* Database
    const migrations = yield* Migrations
    const unfit = ({ file, problem }: { readonly file: string; readonly problem: string }) =>
      problem.includes("Python original")
        ? new SettingError({
            setting: "DATABASE_URL",
            problem: `${address} is a database of the Python original`,
            fix: "name an empty one, then bring the rows over: node dist/migrator.js import --from ADDRESS_OF_THE_ORIGINAL"
          })
        : new SettingError({
            setting: "DATABASE_URL",
            problem: `${address} does not fit this version (${file}: ${problem})`,
            fix: "use the version it was made with, or another database"
          })
    const { min, max } = yield* bounds(yield* migrations.newest.pipe(Effect.mapError(unfit)))
    if (!validate) return yield* Effect.logWarning("the schema of the database is not checked: SCHEMA_VALIDATE=0")
    const { database, pending } = yield* migrations.state(max).pipe(Effect.mapError(unfit))
    if (pending.length === 0) return
    if (init) {
      const applied = yield* migrations.run.pipe(
        Effect.mapError(
          ({ file, problem }) =>
            new SettingError({
              setting: "DB_INIT_SCHEMA",
              problem: `the migrations of ${address} cannot be applied (${file}: ${problem})`,
              fix: "run node dist/migrator.js as the owner of the database, and unset DB_INIT_SCHEMA"
            })
        )
      )
      return yield* Effect.logInfo("applied migrations", { database: address, applied: applied.length })
    }
    if (database >= min)
      return yield* Effect.logWarning("the database lacks migrations, which SCHEMA_COMPAT_MIN accepts", {
        database: address,
        version: database,
        lacks: pending.length
      })
    return yield* new SettingError({
      setting: "DATABASE_URL",
      problem: `${address} lacks ${pending.length} migrations`,
      fix: "run: node dist/migrator.js"
    })
  })
)
