import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Timestamp } from "../market/Timestamp.ts"

/** `waiting`: over, and not repaired. */
export type GapState = "open" | "waiting" | "repaired" | "all"

export interface GapFilter {
  readonly state: GapState
  readonly from: Timestamp | undefined
  readonly to: Timestamp | undefined
  readonly limit: number
}

export interface GapRow {
  readonly id: string
  readonly feed: string
  readonly market: string | null
  readonly slots: ReadonlyArray<number> | null
  readonly from: Timestamp
  readonly to: Timestamp | null
  readonly cause: string
  readonly detail: string | null
  readonly framesMissing: number | null
  readonly repairedBy: string | null
  readonly repairedAt: Timestamp | null
  readonly problem: string | null
  readonly nextTryAt: Timestamp | null
}

const conditions: Readonly<Record<GapState, string>> = {
  open: "g.to_ts is null",
  waiting: "g.to_ts is not null and g.repaired_at is null",
  repaired: "g.repaired_at is not null",
  all: "true"
}

/** The gap ledger, for people. */
export class GapList extends Context.Service<
  GapList,
  {
    /** Gaps that touch the span, the newest first. */
    list(filter: GapFilter): Effect.Effect<ReadonlyArray<GapRow>, SqlError>
    /** Has these gaps tried again at the next pass of the repair, as if never tried; those that wait to be repaired. */
    tryAgain(ids: ReadonlyArray<string>): Effect.Effect<number, SqlError>
  }
>()("kalshi-ingestor/store/GapList") {
  static readonly layer = Layer.effect(
    GapList,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return GapList.of({
        list: Effect.fn("GapList.list")(
          ({ from, limit, state, to }) => sql<GapRow>`
            select g.id::text as id, g.feed, g.market_ticker as market, g.slots::int[] as slots, rfc3339(g.from_ts) as from,
              rfc3339(g.to_ts) as to, g.cause, g.detail, g.frames_missing::float8 as "framesMissing", g.repaired_by as "repairedBy",
              rfc3339(g.repaired_at) as "repairedAt", r.problem, rfc3339(r.next_at) as "nextTryAt"
            from capture_gaps g left join gap_repairs r on r.gap_id = g.id
            where ${sql.literal(conditions[state])}
              and (${to ?? null}::timestamptz is null or g.from_ts < ${to ?? null}::timestamptz)
              and (${from ?? null}::timestamptz is null or coalesce(g.to_ts, 'infinity') > ${from ?? null}::timestamptz)
            order by g.id desc limit ${limit}`
        ),
        tryAgain: Effect.fn("GapList.tryAgain")((ids) =>
          sql<{ n: number }>`
            with wanted as (
              select id from capture_gaps
              where id = any (${ids}::text[]::bigint[]) and to_ts is not null and repaired_at is null
            ), forgotten as (
              delete from gap_repairs where gap_id in (select id from wanted)
            )
            select count(*)::int as n from wanted`.pipe(Effect.map((rows) => rows[0]!.n))
        )
      })
    })
  )
}
