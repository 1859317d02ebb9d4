import { readFileSync } from "node:fs"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as SqlClient from "effect/sql/SqlClient"
import { TestDatabase } from "../support/Database.ts"

const schema = readFileSync(new URL("fixtures/original-v3.sql", import.meta.url), "utf8")
/** A row of each kind and fault; ids and keys are fixed. */
const rows = readFileSync(new URL("fixtures/original-rows.sql", import.meta.url), "utf8")

/** Several statements as one, as the protocol wants. */
export const script = (text: string) => `do $outer$ begin execute $inner$${text}$inner$; end $outer$`

/** A database of the Python original, beside the one that is imported into. */
export class Original extends Context.Service<
  Original,
  { readonly sql: SqlClient.SqlClient; readonly url: Redacted.Redacted<string> }
>()("kalshi-ingestor/test/Original") {
  /** Tables without rows. */
  static get layerEmpty() {
    return layer([schema])
  }
  static get layer() {
    return layer([schema, rows])
  }
}

const layer = (scripts: ReadonlyArray<string>) =>
  Layer.effect(
    Original,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { url } = yield* TestDatabase
      for (const text of scripts) yield* sql.unsafe(script(text))
      return Original.of({ sql, url })
    })
  ).pipe(Layer.provide(Layer.fresh(TestDatabase.layerEmpty)))
