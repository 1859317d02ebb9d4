import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { isSqlError } from "effect/sql/SqlError"
import { isTransient } from "../../src/store/SqlState.ts"
import { transaction } from "../../src/store/Transaction.ts"
import { TestDatabase } from "../support/Database.ts"

describe("transaction", () => {
  it.live("a connection that breaks inside it is a failure to be tried again, no defect", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const error = yield* Effect.flip(
        sql`select pg_terminate_backend(pg_backend_pid())`.pipe(Effect.andThen(sql`select 1`), transaction(sql))
      )
      assert.isTrue(isSqlError(error) && isTransient(error))
      assert.deepStrictEqual(yield* sql`select 1 as n`.pipe(transaction(sql)), [{ n: 1 }])
    }).pipe(Effect.provide(TestDatabase.layerEmpty))
  )

  it.live("any other defect stays one", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const exit = yield* Effect.exit(Effect.die("a mistake").pipe(transaction(sql)))
      assert.include(String(exit), "a mistake")
    }).pipe(Effect.provide(TestDatabase.layerEmpty))
  )
})
