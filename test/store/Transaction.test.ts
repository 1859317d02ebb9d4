import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
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

  it.live(
    "whoever stops inside it does not hold its locks for ever, and is told to try again",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* sql`create table held (n int primary key)`
        yield* sql`insert into held values (1)`
        const update = sql`update held set n = n + 1`
        const locked = yield* Deferred.make<void>()
        const stopped = yield* update.pipe(
          Effect.andThen(Deferred.succeed(locked, undefined)),
          Effect.andThen(Effect.sleep("12 seconds")),
          Effect.andThen(update),
          transaction(sql),
          Effect.flip,
          Effect.forkChild
        )
        yield* Deferred.await(locked)
        yield* update.pipe(transaction(sql))
        const error = yield* Fiber.join(stopped)
        assert.isTrue(isSqlError(error) && isTransient(error))
        assert.deepStrictEqual(yield* sql`select n from held`, [{ n: 2 }])
      }).pipe(Effect.provide(TestDatabase.layerEmpty)),
    30_000
  )

  it.live("any other defect stays one", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const exit = yield* Effect.exit(Effect.die("a mistake").pipe(transaction(sql)))
      assert.include(String(exit), "a mistake")
    }).pipe(Effect.provide(TestDatabase.layerEmpty))
  )
})
