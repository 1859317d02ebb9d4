import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Timestamp } from "../market/Timestamp.ts"

export interface QuarantineRow {
  readonly id: string
  readonly at: Timestamp
  readonly receivedAt: Timestamp | null
  readonly feed: string
  readonly journal: string | null
  readonly cause: string
  readonly bytes: number
  /** The first bytes, as text. */
  readonly raw: string
}

/** A frame that was put aside, whole. `receivedMillis`: exchange time. */
export interface HeldFrame {
  readonly id: string
  readonly receivedMillis: number
  readonly journal: string
  readonly segment: number
  readonly offset: number
  readonly raw: string
}

/** Frames that could not be read or stored. */
export class Quarantine extends Context.Service<
  Quarantine,
  {
    /** Put aside within the span, the newest first. */
    list(
      from: Timestamp | undefined,
      to: Timestamp | undefined,
      limit: number
    ): Effect.Effect<ReadonlyArray<QuarantineRow>, SqlError>
    /** These frames, in their order of reception; they stay locked until the transaction ends. */
    take(ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<HeldFrame>, SqlError>
    remove(ids: ReadonlyArray<string>): Effect.Effect<number, SqlError>
    blame(id: string, cause: string): Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/Quarantine") {
  static readonly layer = Layer.effect(
    Quarantine,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return Quarantine.of({
        list: Effect.fn("Quarantine.list")(
          (from, to, limit) => sql<QuarantineRow>`
            select id::text as id, rfc3339(at) as at, rfc3339(received_at) as "receivedAt", feed, journal, cause,
              octet_length(raw) as bytes, left(encode(substr(raw, 1, 200), 'escape'), 200) as raw
            from quarantine q
            where (${from ?? null}::timestamptz is null or at >= ${from ?? null}::timestamptz)
              and (${to ?? null}::timestamptz is null or at < ${to ?? null}::timestamptz)
            order by q.id desc limit ${limit}`
        ),
        take: Effect.fn("Quarantine.take")((ids) =>
          sql<{ id: string; at: number; journal: string; segment: number; offset: number; raw: Uint8Array }>`
            select id::text as id, (extract(epoch from coalesce(received_at, at)) * 1000)::float8 as at, coalesce(journal, '') as journal,
              coalesce(segment, 0)::float8 as segment, coalesce("offset", 0)::float8 as offset, raw
            from quarantine q where id = any (${ids}::text[]::bigint[]) order by received_at, q.id for update`.pipe(
            Effect.map((rows) =>
              rows.map((row) => ({
                id: row.id,
                receivedMillis: row.at,
                journal: row.journal,
                segment: row.segment,
                offset: row.offset,
                raw: Buffer.from(row.raw).toString("utf8")
              }))
            )
          )
        ),
        remove: Effect.fn("Quarantine.remove")((ids) =>
          sql`delete from quarantine where id = any (${ids}::text[]::bigint[]) returning 1`.pipe(
            Effect.map((rows) => rows.length)
          )
        ),
        blame: Effect.fn("Quarantine.blame")((id, cause) =>
          Effect.asVoid(sql`update quarantine set cause = ${cause} where id = ${id}::bigint`)
        )
      })
    })
  )
}
