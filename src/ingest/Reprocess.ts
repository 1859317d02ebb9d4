import * as fs from "node:fs"
import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { decodeFrame } from "../kalshi/SocketWire.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import * as Setting from "../runtime/Setting.ts"
import { ActiveMarkets } from "../store/ActiveMarkets.ts"
import { CaptureLedger } from "../store/CaptureLedger.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { isData, sqlState } from "../store/SqlState.ts"
import { transaction } from "../store/Transaction.ts"
import type { Reading } from "./CaptureBatch.ts"
import * as CaptureStep from "./CaptureStep.ts"
import { CaptureStore } from "./CaptureStore.ts"
import { FeedState } from "./FeedState.ts"
import * as IngestConfig from "./IngestConfig.ts"
import * as JournalDirectory from "./JournalDirectory.ts"
import { attempt } from "./JournalError.ts"
import { decodeMark } from "./JournalMark.ts"
import { makeReader } from "./JournalReader.ts"
import type { JournalPosition, JournalRecord } from "./JournalRecord.ts"
import { isMissing, JournalSegments } from "./JournalSegments.ts"

/** Frames read at once. */
const atOnce = 5000

/** A span of exchange time, epoch milliseconds, by when frames were received; `toMillis` excluded. */
export interface Span {
  readonly fromMillis: number
  readonly toMillis: number
}

export interface Reprocessed {
  readonly journals: number
  readonly frames: number
  readonly ticks: number
  readonly quarantined: number
}

/** A directory that its process had no time to name holds nothing. */
const idOf = (directory: string): Promise<string | undefined> =>
  fs.promises.readFile(path.join(directory, "id"), "utf8").then(
    (text) => text.trim(),
    (error) => {
      if (isMissing(error)) return undefined
      throw error
    }
  )

const isFrame = ({ kind }: JournalRecord) => kind === "frame" || kind === "snapshot"

/** The last index from which on all records were received at one instant: ticks are told apart by it, so they stay together. */
const cutBefore = (records: ReadonlyArray<JournalRecord>): number => {
  let at = records.length - 1
  const last = records[at]!.receivedMillis
  while (at > 0 && records[at - 1]!.receivedMillis === last) at--
  return at
}

/**
 * Reads the kept segments of this machine's journals again and puts what their frames of a span say today in the place of what is
 * stored of them. Doing it twice changes nothing. Frames that the recorder has not stored yet, and the gap ledger, are left alone.
 * `tell` hears after each transaction how much has been read.
 */
export const reprocess = Effect.fn("reprocess")(function* (
  span: Span,
  tell: (done: Reprocessed) => Effect.Effect<unknown> = () => Effect.void
) {
  const sql = yield* SqlClient.SqlClient
  const ledger = yield* CaptureLedger
  const store = yield* CaptureStore
  const active = yield* ActiveMarkets
  const time = yield* ExchangeTime
  const { storeRaw } = yield* Setting.read(IngestConfig.capture)
  const root = yield* JournalDirectory.root
  const done = { journals: 0, frames: 0, ticks: 0, quarantined: 0 }

  const replace = (step: CaptureStep.CaptureStep, journal: string): Effect.Effect<void, SqlError> =>
    untilDatabaseAnswers(
      Effect.gen(function* () {
        const lifecycle = yield* store.prepare(step.batch, time.fromWall(yield* Clock.currentTimeMillis))
        yield* Effect.gen(function* () {
          yield* store.remove(step.batch, lifecycle)
          yield* ledger.dequarantine(journal, step.start, step.to)
          yield* store.insert(journal, step.batch, lifecycle)
          if (step.again.takenOver.size > 0) yield* store.collapse(step.again.takenOver)
        }).pipe(transaction(sql))
        done.frames += step.batch.frames
        done.ticks += step.batch.ticks.length
        done.quarantined += step.batch.quarantined.length
      })
    ).pipe(
      Effect.catch((error) => {
        if (!isSqlError(error) || !isData(error)) return Effect.fail(error)
        if (step.records.length > 1) {
          const [head, tail] = CaptureStep.split(step)
          return Effect.andThen(replace(head, journal), replace(tail, journal))
        }
        if (!CaptureStep.isRefusable(step)) return Effect.fail(error)
        const cause = `the database refuses it (${sqlState(error) ?? error.reason._tag})`
        return replace(CaptureStep.refused(step, cause), journal)
      })
    )

  const ofJournal = Effect.fnUntraced(function* (directory: string, share: JournalDirectory.JournalShare) {
    const journal = yield* attempt("read", () => idOf(directory))
    if (journal === undefined) return
    const stored = yield* ledger.position(journal)
    if (Option.isNone(stored)) return
    done.journals += 1
    const files = new JournalSegments(directory)
    const reader = makeReader(files, () => stored.value)
    const fences = yield* ledger.fences(journal)
    const lost = new Map<number, number>()
    const [first] = yield* attempt("read", () => files.list())
    let position: JournalPosition = { segment: first ?? 0, offset: 0 }
    let state = FeedState.initial
    let waiting: ReadonlyArray<JournalRecord> = []
    let from = position

    const take = Effect.fnUntraced(function* (records: ReadonlyArray<JournalRecord>) {
      for (const { slot, sinceMillis } of fences)
        if (sinceMillis <= time.fromWall(records.at(-1)!.receivedMillis)) lost.set(slot, sinceMillis)
      const reading: Reading = {
        decode: decodeFrame,
        fromWall: time.fromWall,
        isRepeat: () => false,
        takenOver: new Map(),
        keepsFrames: storeRaw
      }
      let step = CaptureStep.read(records, from, state, reading)
      if (lost.size > 0) {
        const slotOf = yield* active.slotsOf(step.batch.tickers, share)
        const takenOver = new Map(
          [...slotOf].flatMap(([ticker, slot]) => {
            const since = lost.get(slot)
            return since === undefined ? [] : [[ticker, since] as const]
          })
        )
        step = CaptureStep.readAgain(step, { ...reading, takenOver })
      }
      yield* replace(step, journal)
      yield* tell({ ...done })
      state = step.after
      from = step.to
    })

    /** Marks tell the connection and whose slots they are; frames outside the span are passed over. */
    const pass = (record: JournalRecord) => {
      if (record.kind === "live") for (const slot of decodeMark(record.payload).slots ?? []) lost.delete(slot)
    }

    while (true) {
      const { next, records } = yield* reader.read(position, atOnce)
      const all = [...waiting, ...records]
      if (all.length === 0) break
      const cut = records.length === 0 ? all.length : cutBefore(all)
      const wanted: Array<JournalRecord> = []
      for (const record of all.slice(0, cut)) {
        const at = time.fromWall(record.receivedMillis)
        if (isFrame(record) && (at < span.fromMillis || at >= span.toMillis)) continue
        pass(record)
        wanted.push(record)
      }
      if (wanted.length > 0) yield* take(wanted)
      waiting = all.slice(cut)
      position = next
    }
  })

  const names = yield* Effect.sync(() => (fs.existsSync(root) ? fs.readdirSync(root) : []))
  for (const name of names) {
    const share = JournalDirectory.shareOf(name)
    if (share !== undefined) yield* ofJournal(path.join(root, name), share)
  }
  return done satisfies Reprocessed
})
