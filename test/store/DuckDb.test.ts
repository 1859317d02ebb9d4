import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as DuckDb from "../../src/store/DuckDb.ts"
import * as Programs from "../support/Programs.ts"

const memoryMegabytes = 128

describe("DuckDB", () => {
  it.live("ends a statement of who is interrupted, begun or not, before its connection closes", () =>
    Effect.gen(function* () {
      const folder = yield* Programs.folder
      const rows = path.join(folder, "rows.parquet")
      yield* Effect.scoped(
        Effect.flatMap(DuckDb.open({ memoryMegabytes }), (duck) =>
          duck.run(
            `copy (select range as n, md5(range::varchar) as word from range(4000000)) to ${DuckDb.quoted(rows)}`
          )
        )
      )
      // As many as Node has threads for such work: a statement that is left behind holds one for good.
      for (const millis of [0, 1, 100, 150, 100, 150]) {
        const file = path.join(folder, "some.duckdb")
        const working = yield* DuckDb.open({ file, temporaryDirectory: folder, memoryMegabytes }).pipe(
          Effect.flatMap((duck) =>
            Effect.andThen(
              duck.run("create table t (n bigint, word varchar)"),
              duck.run(`insert into t select * from read_parquet(${DuckDb.quoted(rows)}) where word > '3'`)
            )
          ),
          Effect.scoped,
          Effect.forkChild
        )
        yield* Effect.sleep(millis)
        yield* Fiber.interrupt(working)
        assert.isFalse(fs.existsSync(file))
      }
      const duck = yield* DuckDb.open({ memoryMegabytes })
      assert.deepStrictEqual(yield* duck.rows("select 1 as a"), [{ a: 1 }])
    }).pipe(Effect.scoped)
  )

  it.live("reaches what it is given, and nothing else", () =>
    Effect.gen(function* () {
      const folder = yield* Programs.folder
      const outside = yield* Programs.folder
      const secret = path.join(outside, "secret.csv")
      const given = path.join(outside, "given.csv")
      for (const file of [secret, given]) fs.writeFileSync(file, "a\n1\n")
      const duck = yield* DuckDb.open({ memoryMegabytes, reach: { files: [given], directories: [folder] } })
      const read = (file: string) => duck.rows(`select a from read_csv(${DuckDb.quoted(file)})`)
      assert.deepStrictEqual(yield* read(given), [{ a: "1" }])
      yield* duck.run(`copy (select 7 as a) to ${DuckDb.quoted(path.join(folder, "made.csv"))} (header true)`)
      assert.deepStrictEqual(yield* read(path.join(folder, "made.csv")), [{ a: "7" }])
      for (const attempt of [
        read(secret),
        read(`${folder}/../${path.basename(outside)}/secret.csv`),
        read(`${folder}-beside/secret.csv`),
        duck.run(`copy (select 7 as a) to ${DuckDb.quoted(path.join(outside, "made.csv"))}`),
        duck.run("set enable_external_access = true"),
        duck.run(`attach ${DuckDb.quoted(path.join(outside, "other.duckdb"))}`)
      ])
        assert.match((yield* Effect.flip(attempt)).problem, /^DuckDB: (Permission|Invalid Input) Error/)
      const words = ["'; drop table t; --", "$1", 'ü\n"', "\\"]
      for (const word of words) assert.deepStrictEqual(yield* duck.rows("select $1 as word", [word]), [{ word }])
    }).pipe(Effect.scoped)
  )
})
