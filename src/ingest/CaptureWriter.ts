import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import { Drift } from "../kalshi/Drift.ts"
import { decodeFrame } from "../kalshi/SocketWire.ts"
import { normalize } from "../market/StrikePeriod.ts"
import { fromMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { ActiveMarkets } from "../store/ActiveMarkets.ts"
import { CaptureLedger } from "../store/CaptureLedger.ts"
import { Catalog } from "../store/Catalog.ts"
import { LifecycleEvents } from "../store/LifecycleEvents.ts"
import { Partitions } from "../store/Partitions.ts"
import { isData, sqlState } from "../store/SqlState.ts"
import { type StoredTick, Ticks } from "../store/Ticks.ts"
import { type CaptureItem, type FeedState, interpret } from "./CaptureItem.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { Journal } from "./Journal.ts"
import type { JournalPosition } from "./JournalRecord.ts"
import { LifecycleFilter } from "./LifecycleFilter.ts"
import { untilDatabaseAnswers } from "./Retry.ts"

/** Another process stores the same journal. */
export class JournalTaken extends Schema.TaggedError<JournalTaken>()("JournalTaken", { journal: Schema.String }) {
  override get message(): string {
    return `journal ${this.journal} is being stored by another process`
  }
}

const ticksStored = Metric.counter("ticks_stored", { description: "Ticks committed", incremental: true })
const lifecycleStored = Metric.counter("lifecycle_stored", {
  description: "Lifecycle messages committed",
  incremental: true
})
const quarantined = Metric.counter("frames_quarantined", {
  description: "Frames that could not be decoded or stored",
  incremental: true
})
const storeLag = Metric.histogram("receive_to_commit_seconds", {
  description: "From the socket to the committed row",
  boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300]
})
const exchangeLag = Metric.histogram("exchange_to_receive_seconds", {
  description: "From the exchange's stamp to the socket, exchange time",
  boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60]
})
const backlog = Metric.gauge("journal_backlog_bytes", { description: "Journal bytes of this segment not stored yet" })

/** A stamp further off is a fault of the stamp: its row stays in the default partition, which maintenance reports. */
const plausibleMillis = 40 * 86_400_000

const plausibleDays = (rows: ReadonlyArray<StoredTick>, nowMillis: number): ReadonlySet<number> =>
  new Set(
    rows.flatMap(({ exchangeMillis }) =>
      Math.abs(exchangeMillis - nowMillis) < plausibleMillis ? [Partitions.dayOf(exchangeMillis)] : []
    )
  )

/** How long a stopping process goes on storing; what is left waits in the journal. */
const drainLimit = "6 seconds"

/** Readers are told of new ticks this often at most. */
const notifyMillis = 250

/**
 * Follows the journal into the database. The rows of a batch and the journal's new position commit together, so every frame is
 * stored exactly once, however often this process dies. A batch the database refuses for its values is split until the
 * refused frame stands alone and goes to quarantine.
 */
export const CaptureWriter = (shard: string) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const journal = yield* Journal
      const ledger = yield* CaptureLedger
      const ticks = yield* Ticks
      const catalog = yield* Catalog
      const active = yield* ActiveMarkets
      const lifecycleEvents = yield* LifecycleEvents
      const lifecycleFilter = yield* LifecycleFilter
      const partitions = yield* Partitions
      const drift = yield* Drift
      const time = yield* ExchangeTime
      const loops = yield* Loops
      const health = yield* Health
      const { journalKeepHours, periods, writerBatch } = yield* Setting.read(IngestConfig.capture)
      const wanted = periods.map((period) => normalize(period) ?? period)
      const decode = (raw: string, receivedMillis: number) => decodeFrame(raw, receivedMillis, drift.unknown)
      const progress = {
        committedAt: yield* Clock.currentTimeMillis,
        backlogBytes: 0,
        notifiedAt: 0,
        unnotified: 0,
        position: { segment: 0, offset: 0 }
      }

      const resume = Effect.gen(function* () {
        const stored = yield* ledger.position(journal.id)
        const lastAlive = yield* ledger.lastReceived(shard)
        const position = Option.isSome(stored) ? stored.value : yield* journal.oldest
        if (Option.isNone(stored)) {
          const made = yield* ledger.advance({
            journal: journal.id,
            shard,
            from: undefined,
            to: position,
            frames: 0,
            lastReceivedMillis: undefined
          })
          if (!made) return yield* new JournalTaken({ journal: journal.id })
        }
        return { position, lastAliveMillis: Option.getOrUndefined(lastAlive) }
      })

      const write = Effect.fnUntraced(function* (
        items: ReadonlyArray<CaptureItem>,
        from: JournalPosition,
        attempt: number
      ) {
        const last = items.at(-1)!
        const rows = items.flatMap(({ tick }) => tick ?? [])
        const refused = items.flatMap(({ quarantined }) => quarantined ?? [])
        const lifecycle = yield* lifecycleFilter.select(items.flatMap(({ lifecycle }) => lifecycle ?? []))
        const now = yield* Clock.currentTimeMillis
        const notify = progress.unnotified + rows.length > 0 && now - progress.notifiedAt >= notifyMillis
        yield* ticks.register(new Set(rows.map((row) => row.ticker)))
        yield* partitions.ensureDays("ticks", plausibleDays(rows, time.fromWall(now)))
        yield* Effect.gen(function* () {
          const moved = yield* ledger.advance({
            journal: journal.id,
            shard,
            from,
            to: last.end,
            frames: items.reduce((sum, { frames }) => sum + frames, 0),
            lastReceivedMillis: last.lastAliveMillis
          })
          if (!moved) {
            const stored = Option.getOrUndefined(yield* ledger.position(journal.id))
            // The commit before this attempt went through, only its answer was lost.
            if (attempt > 0 && stored?.segment === last.end.segment && stored.offset === last.end.offset) return
            return yield* new JournalTaken({ journal: journal.id })
          }
          yield* ticks.insert(rows)
          yield* lifecycleEvents.insert(lifecycle.messages)
          yield* catalog.saveEvents(lifecycle.events)
          const changed = yield* catalog.saveMarkets(lifecycle.markets, fromMillis(now))
          if (changed > 0) {
            yield* active.refresh(wanted, yield* time.now)
            yield* sql`select pg_notify('markets_changed', ${JSON.stringify({ changed })})`
          }
          yield* Effect.forEach(
            items.flatMap(({ gap }) => gap ?? []),
            (gap) =>
              gap._tag === "Open"
                ? ledger.openGap(shard, gap.atMillis, gap.cause, gap.detail)
                : ledger.closeGap(shard, gap.atMillis),
            { discard: true }
          )
          yield* ledger.quarantine(journal.id, refused)
          if (notify)
            yield* sql`select pg_notify('ticks_stored', ${JSON.stringify({ ticks: progress.unnotified + rows.length })})`
        }).pipe(sql.withTransaction)
        yield* lifecycle.settle
        yield* Effect.gen(function* () {
          progress.unnotified = notify ? 0 : progress.unnotified + rows.length
          if (notify) progress.notifiedAt = now
          const committedAt = yield* Clock.currentTimeMillis
          progress.committedAt = committedAt
          yield* Metric.update(ticksStored, rows.length)
          yield* Metric.update(lifecycleStored, lifecycle.messages.length)
          yield* Metric.update(quarantined, refused.length)
          for (const item of items) {
            if (item.tick === undefined) continue
            yield* Metric.update(storeLag, (committedAt - item.receivedMillis) / 1000)
            yield* Metric.update(exchangeLag, (item.tick.receivedMillis - item.tick.exchangeMillis) / 1000)
          }
        })
      })

      const commit = (
        items: ReadonlyArray<CaptureItem>,
        from: JournalPosition
      ): Effect.Effect<void, Effect.Error<ReturnType<typeof write>>> => {
        let attempts = 0
        return untilDatabaseAnswers(Effect.suspend(() => write(items, from, attempts++))).pipe(
          Effect.catch((error) => {
            if (!isSqlError(error) || !isData(error)) return Effect.fail(error)
            const only = items[0]!
            if (items.length > 1) {
              const middle = Math.floor(items.length / 2)
              const head = items.slice(0, middle)
              return Effect.andThen(commit(head, from), commit(items.slice(middle), head.at(-1)!.end))
            }
            if (only.raw === undefined || only.quarantined !== undefined) return Effect.fail(error)
            const cause = `the database refuses it (${sqlState(error) ?? error.reason._tag})`
            return Effect.andThen(
              Effect.logError("frame refused by the database, quarantined", { cause, ...from }),
              commit(
                [
                  {
                    ...only,
                    tick: undefined,
                    lifecycle: undefined,
                    quarantined: { receivedMillis: time.fromWall(only.receivedMillis), ...from, cause, raw: only.raw }
                  }
                ],
                from
              )
            )
          })
        )
      }

      const follow = Effect.gen(function* () {
        const start = yield* untilDatabaseAnswers(resume)
        let position: JournalPosition = start.position
        progress.position = position
        let state: FeedState = { lastAliveMillis: start.lastAliveMillis }
        let retiredSegment = position.segment
        while (true) {
          const { next, records } = yield* journal.read(position, writerBatch)
          if (records.length === 0) {
            progress.backlogBytes = 0
            yield* Metric.update(backlog, 0)
            yield* journal.appended
            continue
          }
          const items: Array<CaptureItem> = []
          let at =
            records[0]!.end.segment === position.segment ? position : { segment: records[0]!.end.segment, offset: 0 }
          for (const record of records) {
            const read = interpret(record, at, state, decode, time.fromWall)
            items.push(read.item)
            state = read.state
            at = record.end
          }
          yield* commit(items, position)
          position = next
          progress.position = next
          const end = yield* journal.end
          progress.backlogBytes = end.segment === position.segment ? end.offset - position.offset : end.offset
          yield* Metric.update(backlog, progress.backlogBytes)
          if (position.segment !== retiredSegment) {
            retiredSegment = position.segment
            yield* journal.retire(position, (yield* Clock.currentTimeMillis) - journalKeepHours * 3_600_000)
          }
        }
      })

      yield* health.register(
        "writer",
        Effect.map(Clock.currentTimeMillis, (now) => {
          const ageSeconds = (now - progress.committedAt) / 1000
          return {
            ok: progress.backlogBytes === 0 || ageSeconds < 60,
            detail: `${progress.backlogBytes} journal bytes not stored yet`,
            ageSeconds
          }
        })
      )
      const drained = Effect.suspend(() => journal.read(progress.position, 1)).pipe(
        Effect.map(({ records }) => records.length === 0),
        Effect.orElseSucceed(() => true)
      )
      yield* loops.run("journal-sync", journal.syncFailed)
      yield* loops.run("writer", follow)
      yield* Effect.addFinalizer(() =>
        drained.pipe(
          Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (done) => done }),
          Effect.timeoutOption(drainLimit),
          Effect.tap((done) =>
            Option.isNone(done)
              ? Effect.logWarning("stopped before everything was stored; the rest is in the journal for the next start")
              : Effect.void
          )
        )
      )
    })
  )
