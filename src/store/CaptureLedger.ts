import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"

/**
 * Why a feed was not received: the link broke, fell silent, was cut by the exchange for being slow (`overflow`) or for its weekly
 * maintenance; the process was down, stopping, or handed its markets over; frames of a subscription are missing by their numbers
 * (`sequence`); the exchange refused to send some markets.
 */
export const gapCauses = [
  "disconnect",
  "silence",
  "overflow",
  "exchange_maintenance",
  "process_down",
  "shutdown",
  "handover",
  "sequence",
  "refused"
] as const
export type GapCause = (typeof gapCauses)[number]

/** The markets a process records: a shard by its name, and its slots when it is made of slots. */
export interface Share {
  readonly shard: string
  readonly slots: ReadonlyArray<number> | undefined
}

export interface LinkGap {
  readonly share: Share
  readonly fromMillis: number
  readonly cause: GapCause
  readonly detail: string | undefined
  readonly journal: string
}

/** A closed span in which a channel is known to have sent what we did not get. */
export interface ChannelGap {
  readonly share: Share
  readonly feed: string
  readonly market?: string
  readonly fromMillis: number
  readonly toMillis: number
  readonly cause: GapCause
  readonly detail?: string
  readonly frames?: number
  readonly journal: string
}

export interface StoredPosition {
  readonly segment: number
  readonly offset: number
  /** As given to `advance`. */
  readonly state: unknown
}

export interface Place {
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
      readonly from: Place | undefined
      readonly to: Place
      readonly frames: number
      readonly lastReceivedMillis: number | undefined
      /** Anything JSON; what a reader needs to go on from `to`. */
      readonly state: unknown
    }): Effect.Effect<boolean, SqlError>
    /** Opens a gap of all channels for the part of the share that has none open. */
    openLinkGap(gap: LinkGap): Effect.Effect<void, SqlError>
    /** Closes the link gaps of a share; what reaches beyond the share stays open. */
    closeLinkGap(share: Share, toMillis: number): Effect.Effect<void, SqlError>
    recordGaps(gaps: ReadonlyArray<ChannelGap>): Effect.Effect<void, SqlError>
    quarantine(journal: string, frames: ReadonlyArray<QuarantinedFrame>): Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/CaptureLedger") {
  static readonly layer = Layer.effect(
    CaptureLedger,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return CaptureLedger.of({
        position: Effect.fn("CaptureLedger.position")((journal) =>
          sql<{ segment: bigint; offset: bigint; state: unknown }>`
            select segment, "offset", state from journal_positions where journal = ${journal}`.pipe(
            Effect.map((rows) =>
              Option.map(Option.fromNullishOr(rows[0]), (row) => ({
                segment: Number(row.segment),
                offset: Number(row.offset),
                state: row.state
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
        advance: Effect.fnUntraced(function* ({ frames, from, journal, lastReceivedMillis, shard, state, to }) {
          const lastReceived = lastReceivedMillis === undefined ? null : fromMillis(lastReceivedMillis)
          const known = JSON.stringify(state)
          const moved =
            from === undefined
              ? yield* sql`
                  insert into journal_positions (journal, shard, segment, "offset", frames, last_received_at, state)
                  values (${journal}, ${shard}, ${to.segment}, ${to.offset}, ${frames}, ${lastReceived}, ${known}::jsonb)
                  on conflict (journal) do nothing returning 1`
              : yield* sql`
                  update journal_positions set
                    shard = ${shard}, segment = ${to.segment}, "offset" = ${to.offset}, frames = frames + ${frames},
                    last_received_at = greatest(last_received_at, ${lastReceived}::timestamptz), state = ${known}::jsonb,
                    updated_at = clock_timestamp()
                  where journal = ${journal} and segment = ${from.segment} and "offset" = ${from.offset} returning 1`
          return moved.length === 1
        }),
        openLinkGap: Effect.fnUntraced(function* ({ cause, detail, fromMillis: since, journal, share }) {
          yield* sql`
            select open_link_gap(${share.shard}, ${share.slots ?? null}::smallint[], ${fromMillis(since)}::timestamptz, ${cause},
              ${detail ?? null}, ${journal})`
        }),
        closeLinkGap: Effect.fnUntraced(function* (share, until) {
          yield* sql`
            select close_link_gap(${share.shard}, ${share.slots ?? null}::smallint[], ${fromMillis(until)}::timestamptz)`
        }),
        recordGaps: Effect.fnUntraced(function* (gaps) {
          if (gaps.length === 0) return
          const rows = gaps.map((gap) => ({
            feed: gap.feed,
            shard: gap.share.shard,
            slots: gap.share.slots,
            market_ticker: gap.market,
            from_ts: fromMillis(gap.fromMillis),
            to_ts: fromMillis(Math.max(gap.fromMillis, gap.toMillis)),
            cause: gap.cause,
            detail: gap.detail,
            frames_missing: gap.frames,
            journal: gap.journal
          }))
          yield* sql`
            insert into capture_gaps (feed, shard, slots, market_ticker, from_ts, to_ts, cause, detail, frames_missing, journal)
            select feed, shard, slots, market_ticker, from_ts, to_ts, cause, detail, frames_missing, journal
            from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r (
              feed text, shard text, slots smallint[], market_ticker text, from_ts timestamptz, to_ts timestamptz, cause text,
              detail text, frames_missing bigint, journal text)`
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
