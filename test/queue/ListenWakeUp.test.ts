import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import { WakeUp } from "../../src/queue/WakeUp.ts"
import { suite } from "./WakeUpSuite.ts"

suite(
  "LISTEN and NOTIFY",
  WakeUp.layerListen,
  () => ({
    breakDown: PgClient.PgClient.use(
      (sql) => sql`select pg_terminate_backend(pid) from pg_stat_activity
                   where datname = current_database() and query ilike 'listen%'`
    ).pipe(Effect.asVoid),
    repair: Effect.void
  }),
  40_000
)
