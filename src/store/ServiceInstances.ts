import { randomBytes } from "node:crypto"
import * as os from "node:os"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"

const beatEvery = "5 seconds"

/** Tells the database, while a program runs, that it does and what its parts say of themselves; gone when it ends in order. */
export const layer = (service: string) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const health = yield* Health
      const loops = yield* Loops
      const instance = `${service}-${randomBytes(5).toString("hex")}`
      const beat = Effect.gen(function* () {
        const { ok, parts } = yield* health.report
        yield* sql`
          insert into service_instances (instance, service, host, pid, started_at, seen_at, ok, parts)
          values (${instance}, ${service}, ${os.hostname()}, ${process.pid}, clock_timestamp(), clock_timestamp(), ${ok},
            ${JSON.stringify(parts)}::text::jsonb)
          on conflict (instance) do update set seen_at = excluded.seen_at, ok = excluded.ok, parts = excluded.parts`
        yield* sql`delete from service_instances where seen_at < clock_timestamp() - interval '1 day'`
      }).pipe(Effect.ignore)
      yield* Effect.addFinalizer(() =>
        sql`delete from service_instances where instance = ${instance}`.pipe(Effect.timeout("1 second"), Effect.ignore)
      )
      yield* loops.run("sign-of-life", beat.pipe(Effect.repeat(Schedule.spaced(beatEvery))))
    })
  )
