import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import { Health } from "../runtime/Health.ts"
import { Instance } from "../runtime/Instance.ts"
import { Loops } from "../runtime/Loops.ts"

const beatEvery = "5 seconds"

const roundTrip = Metric.gauge("database_round_trip_seconds", {
  description: "How long the database took for its last answer to the smallest question"
})

/**
 * Tells the database, while a program runs, that it does and what its parts say of themselves; gone when it ends in order. A program
 * that starts takes away what others of its service on its host left behind that do not run any more.
 */
export const layer = (service: string) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const health = yield* Health
      const loops = yield* Loops
      const { host, id, pid: ownPid } = yield* Instance
      const instance = `${service}-${id}`
      yield* health.register(
        "database",
        sql`select 1`.pipe(
          Effect.timed,
          Effect.timeout("2 seconds"),
          Effect.flatMap(([took]) => {
            const seconds = Duration.toSeconds(took)
            return Effect.as(Metric.update(roundTrip, seconds), {
              ok: true,
              detail: `answers in ${(seconds * 1000).toFixed(1)} ms`
            })
          }),
          Effect.orElseSucceed(() => ({ ok: false, detail: "does not answer" }))
        )
      )
      const left = Effect.gen(function* () {
        const others = yield* sql<{ readonly instance: string; readonly pid: number }>`
          select instance, pid from service_instances
          where service = ${service} and host = ${host} and instance <> ${instance}`
        const gone = others.filter(({ pid }) => pid === ownPid || !runs(pid)).map(({ instance }) => instance)
        if (gone.length > 0) yield* sql`delete from service_instances where ${sql.in("instance", gone)}`
      }).pipe(Effect.ignore)
      const beat = Effect.gen(function* () {
        const { ok, parts } = yield* health.report
        yield* sql`
          insert into service_instances (instance, service, host, pid, started_at, seen_at, ok, parts)
          values (${instance}, ${service}, ${host}, ${ownPid}, clock_timestamp(), clock_timestamp(), ${ok},
            ${JSON.stringify(parts)}::text::jsonb)
          on conflict (instance) do update set seen_at = excluded.seen_at, ok = excluded.ok, parts = excluded.parts`
        yield* sql`delete from service_instances where seen_at < clock_timestamp() - interval '1 day'`
      }).pipe(Effect.ignore)
      yield* Effect.addFinalizer(() =>
        sql`delete from service_instances where instance = ${instance}`.pipe(Effect.timeout("1 second"), Effect.ignore)
      )
      yield* loops.run("sign-of-life", Effect.andThen(left, beat.pipe(Effect.repeat(Schedule.spaced(beatEvery)))))
    })
  )

const runs = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH")
  }
}
