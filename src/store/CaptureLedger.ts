import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"

export type GapCause = "disconnect" | "process_down" | "shutdown"

export interface StoredPosition {
  readonly segment: number
  readonly offset: number
}

export interface QuarantinedFrame {
  readonly receivedMillis: number
  readonly segment: number
  readonly offset: number
  readonly cause: string
  readonly raw: string
}

/**
 * What the capture of one shard has stored and what it has missed: journal positions, gaps, quarantined frames. Instants are
 * exchange time, epoch milliseconds. Writes join the caller's transaction.
 */
export class CaptureLedger extends Context.Service<
  CaptureLedger,
  {
    position(journal: string): Effect.Effect<Option.Option<StoredPosition>, SqlError>
    /** The last stored sign of life of a shard, in any journal. */
    lastReceived(shard: string): Effect.Effect<Option.Option<number>, SqlError>
    /** False when the stored position is not `from`: somebody else has moved it. */
    advance(options: {
      readonly journal: string
      readonly shard: string
      readonly from: StoredPosition | undefined
      readonly to: StoredPosition
      readonly frames: number
      readonly lastReceivedMillis: number | undefined
    }): Effect.Effect<boolean, SqlError>
    /** Opens a gap of every market unless one is open already. */
    openGap(shard: string, fromMillis: number, cause: GapCause, detail: string): Effect.Effect<void, SqlError>
    closeGap(shard: string, toMillis: number): Effect.Effect<void, SqlError>
    quarantine(journal: string, frames: ReadonlyArray<QuarantinedFrame>): Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/CaptureLedger") {
  static readonly layer = Layer.effect(
    CaptureLedger,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return CaptureLedger.of({
        position: Effect.fn("CaptureLedger.position")((journal) =>
          sql<{ segment: bigint; offset: bigint }>`
            select segment, "offset" from journal_positions where journal = ${journal}`.pipe(
            Effect.map((rows) =>
              Option.map(Option.fromNullishOr(rows[0]), (row) => ({
                segment: Number(row.segment),
                offset: Number(row.offset)
              }))
            )
          )
        ),
        lastReceived: Effect.fn("CaptureLedger.lastReceived")((shard) =>
          sql<{ at: Date | null }>`
            select max(last_received_at) as at from journal_positions where shard = ${shard}`.pipe(
            Effect.map((rows) => Option.map(Option.fromNullishOr(rows[0]?.at), (at) => at.getTime()))
          )
        ),
        advance: Effect.fnUntraced(function* ({ frames, from, journal, lastReceivedMillis, shard, to }) {
          const lastReceived = lastReceivedMillis === undefined ? null : fromMillis(lastReceivedMillis)
          const moved =
            from === undefined
              ? yield* sql`
                  insert into journal_positions (journal, shard, segment, "offset", frames, last_received_at)
                  values (${journal}, ${shard}, ${to.segment}, ${to.offset}, ${frames}, ${lastReceived})
                  on conflict (journal) do nothing returning 1`
              : yield* sql`
                  update journal_positions set
                    shard = ${shard}, segment = ${to.segment}, "offset" = ${to.offset}, frames = frames + ${frames},
                    last_received_at = greatest(last_received_at, ${lastReceived}::timestamptz), updated_at = clock_timestamp()
                  where journal = ${journal} and segment = ${from.segment} and "offset" = ${from.offset} returning 1`
          return moved.length === 1
        }),
        openGap: Effect.fnUntraced(function* (shard, from, cause, detail) {
          yield* sql`
            insert into capture_gaps (feed, shard, from_ts, cause, detail)
            select 'ticker', ${shard}, ${fromMillis(from)}::timestamptz, ${cause}, ${detail}
            where not exists (
              select from capture_gaps where shard = ${shard} and market_ticker is null and to_ts is null)`
        }),
        closeGap: Effect.fnUntraced(function* (shard, to) {
          yield* sql`
            update capture_gaps set to_ts = greatest(from_ts, ${fromMillis(to)}::timestamptz)
            where shard = ${shard} and market_ticker is null and to_ts is null`
        }),
        quarantine: Effect.fnUntraced(function* (journal, frames) {
          yield* Effect.forEach(
            frames,
            (frame) => sql`
              insert into quarantine (received_at, feed, journal, segment, "offset", cause, raw)
              values (${fromMillis(frame.receivedMillis)}::timestamptz, 'socket', ${journal}, ${frame.segment}, ${frame.offset},
                ${frame.cause}, ${Buffer.from(frame.raw)})`,
            { discard: true }
          )
        })
      })
    })
  )
}
