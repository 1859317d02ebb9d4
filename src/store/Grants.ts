import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import { groupOf } from "../runtime/Access.ts"
import { asOneStatement } from "./SqlFile.ts"

const file = fileURLToPath(new URL("../../sql/roles.sql", import.meta.url))

/** Whether this database's tables belong to the group of the owner, as `apply` leaves them. */
export const areApplied = (sql: SqlClient.SqlClient) =>
  sql<{ readonly applied: boolean }>`
    select coalesce((
      select pg_get_userbyid(relowner) = ${groupOf("owner")} from pg_class where oid = to_regclass('schema_version')), false) as applied`.pipe(
    Effect.map((rows) => rows[0]?.applied === true)
  )

/** Runs `sql/roles.sql` in the caller's transaction. The tables of this version must be there. */
export const apply = (sql: SqlClient.SqlClient) =>
  Effect.suspend(() => Effect.asVoid(sql.unsafe(asOneStatement(readFileSync(file, "utf8")))))
