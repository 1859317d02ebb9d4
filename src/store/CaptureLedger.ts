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
 * (`sequence`); a market was left out because the connection was full or the exchange refused it.
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
  "left_out"
] as const
export type GapCause = (typeof gapCauses)[number]

/** Some of the slots into which markets are divided: `shard` says how, as `key/number of slots`. */
export interface Share {
  readonly shard: string
  readonly slots: ReadonlyArray<number>
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

/** `Taken`: somebody else moved the position. `lostSlots`: those of ours that another journal carries by now, and since when. */
export type Advanced =
  | { readonly _tag: "Moved"; readonly lostSlots: ReadonlyMap<number, number> }
  | { readonly _tag: "Taken" }

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
    /** Moves the stored position, if it is still `from`. */
    advance(options: {
      readonly journal: string
      readonly shard: string
      readonly slots: ReadonlyArray<number>
      readonly from: Place | undefined
      readonly to: Place
      readonly frames: number
      readonly lastReceivedMillis: number | undefined
      /** Anything JSON; what a reader needs to go on from `to`. */
      readonly state: unknown
    }): Effect.Effect<Advanced, SqlError>
    /** Opens a gap of all channels for those of the slots that have none open and that no other journal took over. */
    linkLost(
      share: Share,
      fromMillis: number,
      cause: GapCause,
      detail: string | undefined
    ): Effect.Effect<void, SqlError>
    /** Closes the gaps of the slots; names the hole when another journal carried a slot before. */
    linkLive(share: Share, atMillis: number): Effect.Effect<void, SqlError>
    /** This journal holds signs of life until then: a gap that another process recorded for it began no earlier. */
    aliveUntil(journal: string, millis: number): Effect.Effect<void, SqlError>
    /** Which markets of a channel are not recorded though they should be; replaces what was said before. */
    leftOut(
      share: Share,
      feed: string,
      markets: ReadonlyArray<string>,
      detail: string,
      atMillis: number
    ): Effect.Effect<void, SqlError>
    recordGaps(gaps: ReadonlyArray<ChannelGap>): Effect.Effect<void, SqlError>
    quarantine(journal: string, frames: ReadonlyArray<QuarantinedFrame>): Effect.Effect<void, SqlError>
    /** Forgets frames of a stretch of the journal, `to` excluded: they are read again. */
    dequarantine(journal: string, from: Place, to: Place): Effect.Effect<void, SqlError>
    /** Remembers since when slots of a journal are stored by another process. */
    fence(journal: string, shard: string, lost: ReadonlyMap<number, number>): Effect.Effect<void, SqlError>
    /** What `fence` remembered. */
    fences(
      journal: string
    ): Effect.Effect<ReadonlyArray<{ readonly slot: number; readonly sinceMillis: number }>, SqlError>
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
        advance: Effect.fnUntraced(function* ({ frames, from, journal, lastReceivedMillis, shard, slots, state, to }) {
          const lastReceived = lastReceivedMillis === undefined ? null : fromMillis(lastReceivedMillis)
          const known = JSON.stringify(state)
          const moved =
            from === undefined
              ? yield* sql<{ lost: LostSlots }>`
                  insert into journal_positions (journal, shard, segment, "offset", frames, last_received_at, state)
                  values (${journal}, ${shard}, ${to.segment}, ${to.offset}, ${frames}, ${lastReceived}, ${known}::jsonb)
                  on conflict (journal) do nothing returning null as lost`
              : yield* sql<{ lost: LostSlots }>`
                  update journal_positions set
                    shard = ${shard}, segment = ${to.segment}, "offset" = ${to.offset}, frames = frames + ${frames},
                    last_received_at = greatest(last_received_at, ${lastReceived}::timestamptz), state = ${known}::jsonb,
                    updated_at = clock_timestamp()
                  where journal = ${journal} and segment = ${from.segment} and "offset" = ${from.offset}
                  returning (
                    select json_agg(json_build_object('slot', f.slot, 'since', (extract(epoch from f.since) * 1000)::float8))
                    from slot_feeds f
                    where f.shard = ${shard} and f.slot = any (${slots}::int[]) and f.journal <> ${journal}) as lost`
          if (moved[0] === undefined) return { _tag: "Taken" }
          return { _tag: "Moved", lostSlots: new Map((moved[0].lost ?? []).map(({ since, slot }) => [slot, since])) }
        }),
        linkLost: Effect.fnUntraced(function* ({ journal, shard, slots }, since, cause, detail) {
          yield* sql`
            select link_lost(${shard}, smallints(${slots}::int[]), ${journal}, ${fromMillis(since)}::timestamptz, ${cause},
              ${detail ?? null})`
        }),
        linkLive: Effect.fnUntraced(function* ({ journal, shard, slots }, at) {
          yield* sql`
            select link_live(${shard}, smallints(${slots}::int[]), ${journal}, ${fromMillis(at)}::timestamptz)`
        }),
        aliveUntil: Effect.fnUntraced(function* (journal, millis) {
          yield* sql`select narrow_gaps(${journal}, ${fromMillis(millis)}::timestamptz)`
        }),
        leftOut: Effect.fn("CaptureLedger.leftOut")(function* ({ journal, shard }, feed, markets, detail, at) {
          yield* sql`
            select set_left_out(${shard}, ${journal}, ${feed}, ${markets}::text[], ${detail}, ${fromMillis(at)}::timestamptz)`
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
            journal: gap.share.journal
          }))
          yield* sql`
            insert into capture_gaps (feed, shard, slots, market_ticker, from_ts, to_ts, cause, detail, frames_missing, journal)
            select feed, shard, slots, market_ticker, from_ts, to_ts, cause, detail, frames_missing, journal
            from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r (
              feed text, shard text, slots smallint[], market_ticker text, from_ts timestamptz, to_ts timestamptz, cause text,
              detail text, frames_missing bigint, journal text)`
        }),
        dequarantine: Effect.fnUntraced(function* (journal, from, to) {
          yield* sql`
            delete from quarantine
            where journal = ${journal} and (segment, "offset") >= (${from.segment}::bigint, ${from.offset}::bigint)
              and (segment, "offset") < (${to.segment}::bigint, ${to.offset}::bigint)`
        }),
        fence: Effect.fnUntraced(function* (journal, shard, lost) {
          const rows = [...lost].map(([slot, since]) => ({ slot, since: fromMillis(since) }))
          yield* sql`
            insert into journal_fences (journal, shard, slot, since)
            select ${journal}, ${shard}, slot, since
            from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r (slot smallint, since timestamptz)
            on conflict do nothing`
        }),
        fences: Effect.fn("CaptureLedger.fences")(
          (journal) =>
            sql<{ readonly slot: number; readonly sinceMillis: number }>`
            select slot, (extract(epoch from since) * 1000)::float8 as "sinceMillis"
            from journal_fences where journal = ${journal} order by since`
        ),
        quarantine: Effect.fnUntraced(function* (journal, frames) {
          if (frames.length === 0) return
          const rows = frames.map(({ cause, offset, raw, receivedMillis, segment }) => ({
            received_at: fromMillis(receivedMillis),
            segment,
            offset,
            cause: cause.replaceAll("\u0000", ""),
            raw: Buffer.from(raw).toString("base64")
          }))
          yield* sql`
            insert into quarantine (received_at, feed, journal, segment, "offset", cause, raw)
            select received_at, 'socket', ${journal}, segment, "offset", cause, decode(raw, 'base64')
            from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r (
              received_at timestamptz, segment bigint, "offset" bigint, cause text, raw text)`
        })
      })
    })
  )
}

type LostSlots = ReadonlyArray<{ readonly slot: number; readonly since: number }> | null
