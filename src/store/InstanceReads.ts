import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { InstanceRow } from "./HealthReads.ts"

/** Which programs: all of them where nothing is named. */
export interface InstancesOf {
  readonly service?: string | undefined
  readonly instance?: string | undefined
  readonly host?: string | undefined
}

/** Programs that gave a sign of life within the last ten minutes; whoever ends in order is gone at once. */
export class InstanceReads extends Context.Service<
  InstanceReads,
  {
    readonly of: (which: InstancesOf) => Effect.Effect<ReadonlyArray<InstanceRow>, SqlError>
  }
>()("kalshi-ingestor/store/InstanceReads") {
  static readonly layer = Layer.effect(
    InstanceReads,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return InstanceReads.of({
        of: Effect.fn("InstanceReads.of")(function* ({ host, instance, service }) {
          return yield* sql<InstanceRow>`
            select instance, service, host, pid, rfc3339(started_at) as "startedAt",
              extract(epoch from clock_timestamp() - seen_at)::float8 as "silentSeconds", ok, parts
            from service_instances
            where seen_at > clock_timestamp() - interval '10 minutes'
              and service = coalesce(${service ?? null}, service)
              and instance = coalesce(${instance ?? null}, instance)
              and host = coalesce(${host ?? null}, host)
            order by service, started_at`
        })
      })
    })
  )
}
