import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** A call that changes something. */
export interface AuditedCall {
  readonly actor: string
  readonly via: "socket" | "port" | "command"
  readonly host: string
  readonly service: string
  readonly instance: string
  readonly call: string
  readonly payload: unknown
}

export interface AuditOutcome {
  readonly outcome: "done" | "failed" | "interrupted"
  readonly detail: string | undefined
}

/** Instants are RFC 3339. */
export interface AuditRow {
  readonly id: string
  readonly at: string
  readonly actor: string
  readonly via: string
  readonly host: string
  readonly service: string
  readonly instance: string
  readonly call: string
  readonly payload: string
  readonly outcome: string | null
  readonly detail: string | null
  readonly endedAt: string | null
}

/** Who changed what of the running programs. */
export class AdminAudit extends Context.Service<
  AdminAudit,
  {
    /** Enters a call that is about to begin; its id. */
    begin(call: AuditedCall): Effect.Effect<string, SqlError>
    end(id: string, outcome: AuditOutcome): Effect.Effect<void, SqlError>
    /** Enters a call that has ended already. `secondsAgo`: when it began. */
    enter(call: AuditedCall, outcome: AuditOutcome, secondsAgo: number): Effect.Effect<void, SqlError>
    /** The newest first. */
    list(limit: number): Effect.Effect<ReadonlyArray<AuditRow>, SqlError>
  }
>()("kalshi-ingestor/store/AdminAudit") {
  static readonly layer = Layer.effect(
    AdminAudit,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const values = ({ actor, call, host, instance, payload, service, via }: AuditedCall) =>
        sql`${actor}, ${via}, ${host}, ${service}, ${instance}, ${call}, ${JSON.stringify(payload ?? null)}::text::jsonb`
      return AdminAudit.of({
        begin: Effect.fn("AdminAudit.begin")((call) =>
          sql<{ id: string }>`
            insert into admin_audit (actor, via, host, service, instance, call, payload) values (${values(call)})
            returning id::text as id`.pipe(Effect.map((rows) => rows[0]!.id))
        ),
        end: Effect.fn("AdminAudit.end")((id, { detail, outcome }) =>
          Effect.asVoid(sql`
            update admin_audit set outcome = ${outcome}, detail = ${detail ?? null}, ended_at = clock_timestamp()
            where id = ${id}::bigint`)
        ),
        enter: Effect.fn("AdminAudit.enter")((call, { detail, outcome }, secondsAgo) =>
          Effect.asVoid(sql`
            insert into admin_audit (actor, via, host, service, instance, call, payload, outcome, detail, at, ended_at)
            values (${values(call)}, ${outcome}, ${detail ?? null},
              clock_timestamp() - ${secondsAgo}::float8 * interval '1 second', clock_timestamp())`)
        ),
        list: Effect.fn("AdminAudit.list")(
          (limit) => sql<AuditRow>`
            select id::text as id, rfc3339(at) as at, actor, via, host, service, instance, call, payload::text as payload,
              outcome, detail, rfc3339(ended_at) as "endedAt"
            from admin_audit a order by a.id desc limit ${limit}`
        )
      })
    })
  )
}
