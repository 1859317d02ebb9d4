import type { Frame } from "../kalshi/SocketWire.ts"
import type { Lifecycle } from "../market/Lifecycle.ts"
import type { Tick } from "../market/Tick.ts"
import { toMillis } from "../market/Timestamp.ts"
import { BookBatch } from "../store/BookBatch.ts"
import type { ChannelGap, GapCause, QuarantinedFrame } from "../store/CaptureLedger.ts"
import { Partitions } from "../store/Partitions.ts"
import { isPlausible, TickBatch } from "../store/TickBatch.ts"
import type { StoredTrade } from "../store/Trades.ts"
import type { FeedState } from "./FeedState.ts"
import { decodeMark } from "./JournalMark.ts"
import type { JournalPosition, JournalRecord } from "./JournalRecord.ts"
import { placeOf } from "./SequenceWatch.ts"

/** A change of the gap ledger. Instants are exchange time. */
export type GapChange = { readonly slots: ReadonlyArray<number> } & (
  | {
      readonly _tag: "LinkLost"
      readonly fromMillis: number
      readonly cause: GapCause
      readonly detail: string | undefined
    }
  | { readonly _tag: "LinkLive"; readonly atMillis: number }
  | { readonly _tag: "AliveUntil"; readonly millis: number }
  | ({ readonly _tag: "FramesMissing" } & Required<Pick<ChannelGap, "feed" | "fromMillis" | "toMillis" | "frames">>)
)

/** How frames are understood; the same for every frame of a process. */
export interface Reading {
  readonly decode: (raw: string, receivedMillis: number) => Frame
  /** From our clock to the exchange's. */
  readonly fromWall: (wallMillis: number) => number
  /** True for a tick that need not be stored, being equal to the one before. Asked once for each tick, in order. */
  readonly isRepeat: (record: JournalRecord, tick: Tick) => boolean
  /** Markets that another journal carries by now, and from which instant on: what this one heard since is not stored twice. */
  readonly takenOver: ReadonlyMap<string, number>
  /** The first of those instants. */
  readonly takenOverMillis?: number
  /** Whether the frames of ticks are stored beside them. */
  readonly keepsFrames: boolean
}

/** When the exchange says that what a frame tells happened. */
const stampOf = (frame: Frame): number | undefined => {
  switch (frame._tag) {
    case "Ticker":
      return frame.tick.exchangeMillis
    case "Trade":
      return toMillis(frame.trade.createdTime)
    case "OrderbookDelta":
      return frame.exchangeMillis
    default:
      return undefined
  }
}

/** What a mark without slots means: one process had all markets. */
const allSlots = Array.from({ length: 12 }, (_, slot) => slot)

/** What a run of journal records means for the database: the rows of one transaction. */
export class CaptureBatch {
  frames = 0
  readonly ticks = new TickBatch()
  readonly books = new BookBatch()
  readonly trades: Array<StoredTrade> = []
  readonly lifecycle: Array<Lifecycle> = []
  readonly gaps: Array<GapChange> = []
  readonly quarantined: Array<QuarantinedFrame> = []
  /** Frames whose sequence number was heard before, left out. */
  repeated = 0
  /** Ticks equal to the one before, left out. */
  deduplicated = 0
  /** Frames that another journal has, left out. */
  fenced = 0

  /** Until when this journal heard its feed before it was taken over; absent when it did not. */
  aliveUntil: number | undefined

  /** The markets of all rows. */
  get tickers(): ReadonlySet<string> {
    return new Set([
      ...this.ticks.latest.keys(),
      ...this.trades.map(({ ticker }) => ticker),
      ...this.books.tickers,
      ...this.books.snapshots.map(({ book }) => book.ticker)
    ])
  }

  get tradeDays(): ReadonlySet<number> {
    return new Set(this.trades.map(({ createdTime }) => Partitions.dayOf(toMillis(createdTime))))
  }

  /**
   * Takes one record in and moves the state past it. Each disconnect, shutdown and crash opens a gap at the last sign of life, and
   * the next acknowledged subscription closes it.
   */
  read(record: JournalRecord, start: JournalPosition, state: FeedState, reading: Reading): void {
    if (record.kind === "frame" || record.kind === "snapshot") this.#frame(record, start, state, reading)
    else this.#mark(record, state, reading.fromWall)
    const { lastAliveMillis } = state
    if (
      reading.takenOverMillis !== undefined &&
      lastAliveMillis !== undefined &&
      lastAliveMillis < reading.takenOverMillis
    )
      this.aliveUntil = Math.max(this.aliveUntil ?? 0, lastAliveMillis)
  }

  /** Puts the frame aside instead of reading it. Its sequence number counts all the same. */
  refuse(record: JournalRecord, start: JournalPosition, state: FeedState, reading: Reading, cause: string): void {
    const aside = new CaptureBatch()
    aside.#frame(record, start, state, reading)
    this.gaps.push(...aside.gaps)
    this.frames += 1
    this.#quarantine(record, start, reading.fromWall(record.receivedMillis), cause)
  }

  #quarantine(
    record: JournalRecord,
    { offset, segment }: JournalPosition,
    receivedMillis: number,
    cause: string
  ): void {
    this.quarantined.push({ receivedMillis, segment, offset, cause, raw: record.payload })
  }

  #frame(record: JournalRecord, start: JournalPosition, state: FeedState, reading: Reading): void {
    const at = reading.fromWall(record.receivedMillis)
    const frame = reading.decode(record.payload, at)
    this.frames += 1
    const heard = state.heard(at, record.kind === "frame" ? stampOf(frame) : undefined)
    switch (frame._tag) {
      case "Ticker":
        if (this.#isFenced(frame.tick.ticker, record.kind === "frame" ? frame.tick.exchangeMillis : at, reading)) return
        if (!isPlausible(frame.tick))
          this.#quarantine(record, start, at, "its stamp is weeks from when it was received")
        else if (reading.isRepeat(record, frame.tick)) this.deduplicated += 1
        else
          this.ticks.add(
            frame.tick,
            record.kind === "snapshot" ? "snapshot" : "live",
            reading.keepsFrames ? record.payload : undefined
          )
        return
      case "Malformed":
        this.#quarantine(record, start, at, frame.cause)
        this.#count(record, at, heard, state)
        return
      case "Subscribed":
        state.subscribed(frame.sid, frame.channel, heard)
        return
      case "MarketLifecycle":
      case "EventLifecycle":
        if (this.#isNew(frame, "market_lifecycle_v2", at, heard, state)) this.lifecycle.push(frame)
        return
      case "Trade":
        if (this.#isNew(frame, "trade", at, heard, state))
          this.trades.push({ ...frame.trade, receivedMillis: at, provenance: "live" })
        return
      case "OrderbookSnapshot":
        if (this.#isNew(frame, "orderbook_delta", at, heard, state) && !this.#isFenced(frame.book.ticker, at, reading))
          this.books.snapshots.push({
            book: frame.book,
            requested: frame.id !== undefined,
            connection: state.connection,
            seq: frame.seq ?? 0,
            receivedMillis: at
          })
        return
      case "OrderbookDelta":
        if (
          this.#isNew(frame, "orderbook_delta", at, heard, state) &&
          !this.#isFenced(frame.ticker, frame.exchangeMillis ?? at, reading)
        ) {
          const { delta, exchangeMillis, price, seq, side, ticker } = frame
          const { connection } = state
          this.books.add({ ticker, side, price, delta, exchangeMillis, receivedMillis: at, connection, seq: seq ?? 0 })
        }
        return
      case "Ok":
      case "Unsubscribed":
      case "ErrorReply":
      case "Unknown":
        if (frame.sid !== undefined) this.#isNew({ sid: frame.sid, seq: frame.seq }, "control", at, heard, state)
        return
    }
  }

  /** A frame that says nothing to us has its number all the same. */
  #count(record: JournalRecord, at: number, heard: number, state: FeedState): void {
    const place = placeOf(record.payload)
    if (place !== undefined) this.#isNew(place, "control", at, heard, state)
  }

  /** Whether the other journal was sent it, too: it is from after the take-over, however late it came here. */
  #isFenced(ticker: string, sentMillis: number, { takenOver }: Reading): boolean {
    if (takenOver.size === 0 || sentMillis < (takenOver.get(ticker) ?? Number.POSITIVE_INFINITY)) return false
    this.fenced += 1
    return true
  }

  /** Follows the sequence of the frame's subscription; false for a frame that was heard before. */
  #isNew(
    frame: { readonly sid: number; readonly seq: number | undefined },
    channel: string,
    at: number,
    heard: number,
    state: FeedState
  ): boolean {
    if (frame.seq === undefined) return true
    const sequenced = state.sequence(frame.sid, frame.seq, channel, heard)
    if (sequenced._tag === "Missing")
      this.gaps.push({
        _tag: "FramesMissing",
        feed: state.channelOf(frame.sid) ?? channel,
        fromMillis: sequenced.sinceMillis,
        toMillis: at,
        frames: sequenced.frames,
        slots: state.slots
      })
    if (sequenced._tag === "Repeated") this.repeated += 1
    return sequenced._tag !== "Repeated"
  }

  #mark(record: JournalRecord, state: FeedState, fromWall: Reading["fromWall"]): void {
    const at = fromWall(record.receivedMillis)
    const mark = decodeMark(record.payload)
    const since = mark.sinceMillis === undefined ? undefined : fromWall(mark.sinceMillis)
    const lost = (cause: GapCause, fromMillis: number, slots: ReadonlyArray<number>) =>
      this.gaps.push({ _tag: "LinkLost", fromMillis, cause, detail: mark.detail?.replaceAll("\u0000", ""), slots })
    switch (record.kind) {
      case "started":
        if (state.lastAliveMillis === undefined) return
        this.gaps.push({ _tag: "AliveUntil", millis: state.lastAliveMillis, slots: state.slots })
        lost("process_down", state.lastAliveMillis, state.slots)
        return
      case "opened":
        state.opened(mark.connection ?? state.connection + 1)
        return
      case "live":
        state.slots = mark.slots ?? allSlots
        state.heard(at)
        this.gaps.push({ _tag: "LinkLive", atMillis: at, slots: state.slots })
        return
      case "alive":
        state.heard(at)
        return
      case "handed": {
        const handed = new Set(mark.slots)
        lost(mark.cause ?? "handover", state.heardBy(Math.min(at, since ?? at)), [...handed])
        state.slots = state.slots.filter((slot) => !handed.has(slot))
        return
      }
      case "closed": {
        const heardUntil = state.lastAliveMillis ?? at
        const from = since === undefined ? heardUntil : Math.min(heardUntil, state.heardBy(since))
        lost(mark.cause ?? "disconnect", from, state.slots)
        return
      }
      case "stopping":
        lost("shutdown", state.lastAliveMillis ?? at, state.slots)
        return
    }
  }
}
