import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import { Drift } from "../kalshi/Drift.ts"
import { decodeFrame } from "../kalshi/SocketWire.ts"
import { normalize } from "../market/StrikePeriod.ts"
import type { Tick } from "../market/Tick.ts"
import { fromMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health, thresholds as Thresholds } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { ActiveMarkets } from "../store/ActiveMarkets.ts"
import { CaptureLedger } from "../store/CaptureLedger.ts"
import { Catalog } from "../store/Catalog.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { isData, sqlState } from "../store/SqlState.ts"
import { transaction } from "../store/Transaction.ts"
import type { GapChange, Reading } from "./CaptureBatch.ts"
import { CaptureProgress } from "./CaptureProgress.ts"
import * as CaptureStep from "./CaptureStep.ts"
import { CaptureStore } from "./CaptureStore.ts"
import { FeedState } from "./FeedState.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { Journal } from "./Journal.ts"
import type { JournalPosition, JournalRecord } from "./JournalRecord.ts"
import { LifecycleResumed } from "./LifecycleResumed.ts"
import { ShardShare } from "./ShardShare.ts"
import { TickDedupe } from "./TickDedupe.ts"

/** Another process stores the same journal. */
export class JournalTaken extends Schema.TaggedError<JournalTaken>()("JournalTaken", { journal: Schema.String }) {
  override get message(): string {
    return `journal ${this.journal} is being stored by another process`
  }
}

/** Slots of this journal's markets have gone to another one, which stores them: since when, by slot. */
class SlotsTaken extends Schema.TaggedError<SlotsTaken>()("SlotsTaken", {
  lost: Schema.ReadonlyMap(Schema.Int, Schema.Finite)
}) {}

const ticksStored = Metric.counter("ticks_stored", { description: "Ticks committed", incremental: true })
const tradesStored = Metric.counter("trades_stored", { description: "Trades of the feed committed", incremental: true })
const bookEventsStored = Metric.counter("book_events_stored", {
  description: "Changes of order books committed",
  incremental: true
})
const lifecycleStored = Metric.counter("lifecycle_stored", {
  description: "Lifecycle messages committed",
  incremental: true
})
const quarantined = Metric.counter("frames_quarantined", {
  description: "Frames that could not be decoded or stored",
  incremental: true
})
const repeated = Metric.counter("frames_repeated", {
  description: "Frames left out because their sequence number was heard before",
  incremental: true
})
const deduplicated = Metric.counter("ticks_deduplicated", {
  description: "Ticks left out because they were equal to the one before (WS_TICK_DEDUP_ENABLE)",
  incremental: true
})
const fenced = Metric.counter("frames_fenced", {
  description: "Frames left out because another process records their market by now",
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
const journalLag = Metric.gauge("journal_lag_seconds", {
  description: "Seconds since the last commit while frames of the journal are not stored; 0 when all are"
})
const backlog = Metric.gauge("journal_backlog_bytes", { description: "Journal bytes of this segment not stored yet" })

/** Observations of a lag that one batch gives to its histogram at most, evenly taken. */
const lagSamples = 200

/** How long a stopping process goes on storing; what is left waits in the journal. */
const drainLimit = "6 seconds"

/** What arrives within this time after a quiet moment is stored together: a transaction costs more than many rows. */
const linger = "20 millis"

/** Readers are told of new ticks this often at most. */
const notifyMillis = 250

/**
 * Follows the journal into the database. The rows of a batch and the journal's new position commit together, so every frame is
 * stored exactly once, however often this process dies. A batch the database refuses for its values is split until the
 * refused frame stands alone and goes to quarantine. While the database stores one batch, the next one is read.
 */
export const CaptureWriter = Layer.effectDiscard(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const journal = yield* Journal
    const { key, shard, slotCount } = yield* ShardShare
    const captured = yield* CaptureProgress
    const ledger = yield* CaptureLedger
    const store = yield* CaptureStore
    const catalog = yield* Catalog
    const active = yield* ActiveMarkets
    const drift = yield* Drift
    const time = yield* ExchangeTime
    const loops = yield* Loops
    const health = yield* Health
    const config = yield* Setting.read(IngestConfig.capture)
    const { journalKeepHours, periods, writerBatch } = config
    const dedupe = config.dedupe
      ? new TickDedupe({ maxAgeMillis: config.dedupeSeconds * 1000, fields: config.dedupeFields })
      : undefined
    const wanted = periods.map((period) => normalize(period) ?? period)
    const progress = {
      committedAt: yield* Clock.currentTimeMillis,
      notifiedAt: 0,
      unnotified: 0
    }
    const reading: Reading = {
      decode: decodeFrame,
      fromWall: time.fromWall,
      isRepeat: () => false,
      takenOver: new Map(),
      keepsFrames: config.storeRaw
    }

    const resume = Effect.gen(function* () {
      const stored = yield* ledger.position(journal.id)
      const state = Option.match(stored, {
        onNone: () => FeedState.initial,
        onSome: ({ state }) => FeedState.fromStored(state) ?? FeedState.initial
      })
      const from = Option.getOrUndefined(stored)
      if (from !== undefined && from.segment <= (yield* journal.end).segment)
        return { position: { segment: from.segment, offset: from.offset }, state }
      const position = yield* journal.oldest
      if (from !== undefined)
        yield* Effect.logWarning("the journal's files were removed, it begins anew", { stored: from.segment })
      const made = yield* ledger.advance({
        journal: journal.id,
        shard,
        slots: [],
        from,
        to: position,
        frames: 0,
        lastReceivedMillis: undefined,
        state
      })
      if (made._tag === "Taken") return yield* new JournalTaken({ journal: journal.id })
      return { position, state }
    })

    /**
     * Reads records for the first time: what is left out as a repeat now is left out whenever they are read again, and what is
     * unknown in them is counted now and not then.
     */
    const readFirst = (
      records: ReadonlyArray<JournalRecord>,
      from: JournalPosition,
      before: FeedState
    ): CaptureStep.CaptureStep => {
      const first: Reading = {
        ...reading,
        decode: (raw, receivedMillis) => decodeFrame(raw, receivedMillis, drift.unknown)
      }
      if (dedupe === undefined) return CaptureStep.read(records, from, before, first, reading)
      const repeats = new Set<JournalRecord>()
      const isRepeat = (record: JournalRecord, tick: Tick) => {
        const repeat = dedupe.isRepeat(tick)
        if (repeat) repeats.add(record)
        return repeat
      }
      const again: Reading = { ...reading, isRepeat: (record) => repeats.has(record) }
      return CaptureStep.read(records, from, before, { ...first, isRepeat }, again)
    }

    const change = (gap: GapChange) => {
      const share = { shard, slots: gap.slots, journal: journal.id }
      switch (gap._tag) {
        case "LinkLost":
          return ledger.linkLost(share, gap.fromMillis, gap.cause, gap.detail)
        case "LinkLive":
          return Effect.andThen(
            ledger.linkLive(share, gap.atMillis),
            gap.slots.includes(0) ? Effect.provideService(LifecycleResumed.tell, SqlClient.SqlClient, sql) : Effect.void
          )
        case "AliveUntil":
          return ledger.aliveUntil(journal.id, gap.millis)
        case "FramesMissing":
          return ledger.recordGaps([{ ...gap, share, cause: "sequence" }])
      }
    }

    const write = Effect.fnUntraced(function* (
      { after, again, batch, before, from, to }: CaptureStep.CaptureStep,
      attempt: number,
      lostBefore: ReadonlyMap<number, number>
    ) {
      const now = yield* Clock.currentTimeMillis
      const rows = batch.ticks.length
      const notify = progress.unnotified + rows > 0 && now - progress.notifiedAt >= notifyMillis
      const lifecycle = yield* store.prepare(batch, time.fromWall(now))
      yield* Effect.gen(function* () {
        const moved = yield* ledger.advance({
          journal: journal.id,
          shard,
          slots: before.slots,
          from,
          to,
          frames: batch.frames,
          lastReceivedMillis: after.lastAliveMillis,
          state: after
        })
        if (moved._tag === "Taken") {
          const stored = Option.getOrUndefined(yield* ledger.position(journal.id))
          // The commit before this attempt went through, only its answer was lost.
          if (attempt > 0 && stored?.segment === to.segment && stored.offset === to.offset) return
          return yield* new JournalTaken({ journal: journal.id })
        }
        if ([...moved.lostSlots.keys()].some((slot) => !lostBefore.has(slot)))
          return yield* new SlotsTaken({ lost: moved.lostSlots })
        yield* store.insert(journal.id, batch, lifecycle)
        if (again.takenOver.size > 0) yield* store.collapse(again.takenOver)
        yield* catalog.saveEvents(lifecycle.events)
        const changed = yield* catalog.saveMarkets(lifecycle.markets, fromMillis(now))
        if (changed > 0) {
          yield* active.refresh(wanted, yield* time.now)
          yield* sql`select pg_notify('markets_changed', ${JSON.stringify({ changed })})`
        }
        yield* Effect.forEach(batch.gaps, change, { discard: true })
        if (notify)
          yield* sql`select pg_notify('ticks_stored', ${JSON.stringify({ ticks: progress.unnotified + rows })})`
      }).pipe(transaction(sql))
      yield* lifecycle.settle
      progress.unnotified = notify ? 0 : progress.unnotified + rows
      if (notify) progress.notifiedAt = now
      yield* Metric.update(ticksStored, rows)
      yield* Metric.update(tradesStored, batch.trades.length)
      yield* Metric.update(bookEventsStored, batch.books.length)
      yield* Metric.update(lifecycleStored, lifecycle.messages.length)
      yield* Metric.update(quarantined, batch.quarantined.length)
      yield* Metric.update(repeated, batch.repeated)
      yield* Metric.update(fenced, batch.fenced)
      yield* Metric.update(deduplicated, batch.deduplicated)
    })

    const measure = Effect.fnUntraced(function* ({ batch, records }: CaptureStep.CaptureStep) {
      const committedAt = yield* Clock.currentTimeMillis
      progress.committedAt = committedAt
      const step = Math.max(1, Math.ceil(records.length / lagSamples))
      for (let index = 0; index < records.length; index += step) {
        const record = records[index]!
        if (record.kind === "frame") yield* Metric.update(storeLag, (committedAt - record.receivedMillis) / 1000)
      }
      for (const tick of batch.ticks.latest.values())
        yield* Metric.update(exchangeLag, (tick.receivedMillis - tick.exchangeMillis) / 1000)
    })

    /** The same records without what another journal has, too. */
    const fence = Effect.fnUntraced(function* (step: CaptureStep.CaptureStep, lost: ReadonlyMap<number, number>) {
      yield* ledger.fence(journal.id, shard, lost)
      const slotOf = yield* active.slotsOf(step.batch.tickers, { key, slotCount })
      const takenOver = new Map(
        [...slotOf].flatMap(([ticker, slot]) => {
          const since = lost.get(slot)
          return since === undefined ? [] : [[ticker, since] as const]
        })
      )
      const takenOverMillis = Math.min(...lost.values())
      const again = CaptureStep.readAgain(step, { ...step.again, takenOver, takenOverMillis })
      const millis = again.batch.aliveUntil
      if (millis !== undefined) again.batch.gaps.push({ _tag: "AliveUntil", millis, slots: [...lost.keys()] })
      yield* Effect.logWarning("another process records markets of this journal by now", {
        slots: [...lost.keys()].join(" ")
      })
      return again
    })

    const commit = (
      step: CaptureStep.CaptureStep,
      lost: ReadonlyMap<number, number> = new Map()
    ): Effect.Effect<void, Exclude<Effect.Error<ReturnType<typeof write>>, SlotsTaken>> => {
      let attempts = 0
      return untilDatabaseAnswers(Effect.suspend(() => write(step, attempts++, lost))).pipe(
        Effect.catchTag("SlotsTaken", (taken) =>
          Effect.flatMap(untilDatabaseAnswers(fence(step, taken.lost)), (again) => commit(again, taken.lost))
        ),
        Effect.catch((error) => {
          if (!isSqlError(error) || !isData(error)) return Effect.fail(error)
          if (step.records.length > 1) {
            const [head, tail] = CaptureStep.split(step)
            return Effect.andThen(commit(head, lost), commit(tail, lost))
          }
          if (!CaptureStep.isRefusable(step)) return Effect.fail(error)
          const cause = `the database refuses it (${sqlState(error) ?? error.reason._tag})`
          return Effect.andThen(
            Effect.logError("frame refused by the database, quarantined", { cause, ...step.start }),
            commit(CaptureStep.refused(step, cause), lost)
          )
        })
      )
    }

    const read = Effect.fnUntraced(function* (
      start: { readonly position: JournalPosition; readonly state: FeedState },
      ready: Queue.Queue<CaptureStep.CaptureStep>
    ) {
      let { position, state } = start
      while (true) {
        const { next, records } = yield* journal.read(position, writerBatch)
        if (records.length === 0) {
          yield* journal.appended
          yield* Effect.sleep(linger)
          continue
        }
        const step = readFirst(records, position, state)
        yield* Queue.offer(ready, step)
        position = next
        state = step.after
      }
    })

    const storeAll = Effect.fnUntraced(function* (ready: Queue.Queue<CaptureStep.CaptureStep>) {
      let retiredSegment = (yield* captured.position).segment
      while (true) {
        const step = yield* Queue.take(ready)
        yield* commit(step)
        yield* measure(step)
        const position = step.to
        yield* captured.moved(position)
        if (position.segment !== retiredSegment) {
          retiredSegment = position.segment
          yield* journal.retire(position, (yield* Clock.currentTimeMillis) - journalKeepHours * 3_600_000)
        }
      }
    })

    const follow = Effect.gen(function* () {
      const start = yield* untilDatabaseAnswers(resume)
      yield* captured.moved(start.position)
      const ready = yield* Queue.bounded<CaptureStep.CaptureStep>(1)
      return yield* Effect.raceFirst(read(start, ready), storeAll(ready))
    })

    const backlogBytes = Effect.gen(function* () {
      const position = yield* captured.position
      const end = yield* journal.end
      return end.segment === position.segment ? end.offset - position.offset : end.offset
    })
    const { staleSeconds = 60 } = yield* Setting.read({ staleSeconds: Thresholds.ws })
    yield* health.register(
      "writer",
      Effect.gen(function* () {
        const bytes = yield* backlogBytes
        const ageSeconds = ((yield* Clock.currentTimeMillis) - progress.committedAt) / 1000
        return {
          ok: bytes === 0 || ageSeconds < staleSeconds,
          detail: `${bytes} journal bytes not stored yet`,
          ageSeconds
        }
      })
    )
    const watchBacklog = backlogBytes.pipe(
      Effect.tap((bytes) => Metric.update(backlog, bytes)),
      Effect.flatMap((bytes) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Metric.update(journalLag, bytes === 0 ? 0 : (now - progress.committedAt) / 1000)
        )
      ),
      Effect.repeat(Schedule.spaced("1 second"))
    )
    const drained = captured.position.pipe(Effect.flatMap((position) => journal.read(position, 1))).pipe(
      Effect.map(({ records }) => records.length === 0),
      Effect.orElseSucceed(() => true)
    )
    yield* loops.run("journal-sync", journal.syncFailed)
    yield* loops.run("writer", follow)
    yield* loops.run("backlog", watchBacklog)
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
