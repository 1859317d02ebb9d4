import type { Duplex } from "node:stream"
import { Chances } from "../simulator/Chances.ts"
import { noFaults } from "../simulator/Faults.ts"
import type { Front, Request } from "../simulator/Front.ts"
import { Hub, type Subscription } from "../simulator/Hub.ts"
import type { Strictness } from "../simulator/Options.ts"
import { type Entry, Outbox } from "../simulator/Outbox.ts"
import type { Reply } from "../simulator/Reply.ts"
import type { Connection, Link, Served } from "../simulator/Served.ts"
import { Session } from "../simulator/Session.ts"
import type { Verifier } from "../simulator/Verifier.ts"
import type { Gap, Recorded } from "./Recorded.ts"
import { inYesPrices, type ReplayFloor } from "./ReplayFloor.ts"

export interface PlayerOptions {
  /** Recorded milliseconds for every one of the wall; `max`: as fast as the clients read. */
  readonly speed: number | "max"
  /** Where the clock stands before it starts, epoch milliseconds; undefined: at the first frame. */
  readonly fromMillis: number | undefined
  /** The clock starts once something is subscribed and no command came for so long; undefined: at once. */
  readonly holdMillis: number | undefined
  /** Bytes that may wait for a client that does not read before its subscriptions end (error 25); never at full speed. */
  readonly bufferBytes: number
  readonly strictness: Strictness
}

/** exchangeMs(wall) = exchangeMs + (wall − wallMs) · speed, once it plays. */
export interface PlayerClock {
  readonly wallMs: number
  readonly exchangeMs: number
  readonly speed: number
}

export interface PlayerStats {
  readonly state: "waiting" | "playing" | "ended"
  /** Where the replay is, RFC 3339. */
  readonly exchangeTime: string
  readonly clock: PlayerClock | null
  /** Recorded frames that were played, by type, whoever heard them. */
  readonly played: Readonly<Record<string, number>>
  /** Frames handed to sockets, by type. */
  readonly sent: Readonly<Record<string, number>>
  readonly gapsAnnounced: number
  readonly connections: number
}

/** Frames of one beat, so that commands are read in between. */
const mostABeat = 2048
/** What may wait in a connection at full speed before the recording waits for it. */
const aheadBytes = 1024 * 1024
/** Frames that wait to be played before the source waits. */
const mostWaiting = 6_000

const count = (counts: Map<string, number>, type: string) => counts.set(type, (counts.get(type) ?? 0) + 1)
// @effect-diagnostics-next-line globalDate:off pure conversion of a given instant
const rfc3339 = (millis: number) => new Date(millis).toISOString()

/**
 * Plays a recording to whoever subscribed, on one clock for all of them. waiting → playing → ended: the clock starts with the first
 * subscriptions, and frames leave when it passes the instant at which they were received; at full speed it stands wherever the
 * slowest client has read to.
 */
export class Player implements Served {
  readonly verifier: Verifier
  readonly connections = new Set<Connection>()
  readonly upgradeStatus = undefined
  readonly #options: PlayerOptions
  readonly #wallMillis: () => number
  readonly #floor: ReplayFloor
  readonly #front: Front
  readonly #hub: Hub
  readonly #trouble = { faults: noFaults, chances: new Chances(0) }
  readonly #entries = new Map<string, Entry>()
  readonly #played = new Map<string, number>()
  readonly #sent = new Map<string, number>()
  #queue: Array<Recorded> = []
  #head = 0
  #roomWanted: (() => void) | undefined
  #sourceEnded = false
  #markReady: () => void = () => {}
  /** Resolves when it is known how things stand where the replay begins. */
  readonly ready: Promise<void>
  #gaps: ReadonlyArray<Gap>
  #nextGap = 0
  #state: PlayerStats["state"] = "waiting"
  #clock: PlayerClock | undefined
  #now: number | undefined
  #commandedAt = 0
  #hubVersion = 0
  #tail = ""
  #lagging = false

  constructor(
    options: PlayerOptions,
    floor: ReplayFloor,
    front: Front,
    verifier: Verifier,
    gaps: ReadonlyArray<Gap>,
    wallMillis: () => number
  ) {
    this.#options = options
    this.#floor = floor
    this.#front = front
    this.verifier = verifier
    this.#gaps = gaps
    this.#wallMillis = wallMillis
    this.#now = options.fromMillis
    this.ready = new Promise((resolve) => {
      this.#markReady = resolve
    })
    const bufferBytes = options.speed === "max" ? Number.POSITIVE_INFINITY : options.bufferBytes
    this.#hub = new Hub(bufferBytes, () => this.#tail)
  }

  /** The replay's clock, epoch milliseconds. */
  get now(): number {
    return this.#now ?? 0
  }

  get clock(): PlayerClock | undefined {
    return this.#clock
  }

  get lagging(): boolean {
    return this.#lagging
  }

  /** Takes frames of the source; resolves when it has room for more. */
  offer(frames: ReadonlyArray<Recorded>): Promise<void> {
    if (this.#head > 0) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    for (const frame of frames) this.#queue.push(frame)
    if (this.#now === undefined && frames[0] !== undefined) this.#now = frames[0].atMillis
    this.#standBefore()
    if (this.#waiting > 0) this.#markReady()
    this.tick()
    return this.#waiting < mostWaiting
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.#roomWanted = resolve
        })
  }

  /** The source has no more. */
  end(): void {
    this.#sourceEnded = true
    this.#markReady()
    this.tick()
  }

  connect(socket: Duplex, link: Link): Connection {
    const outbox: Outbox = new Outbox(
      socket,
      ({ type }) => count(this.#sent, type),
      () => {}
    )
    const session = new Session(
      this.#floor,
      this.#hub,
      this.#options.strictness,
      outbox,
      this.#wallMillis,
      this.#trouble
    )
    const connection: Connection = { session, outbox, link, halfOpenSince: undefined }
    this.connections.add(connection)
    return connection
  }

  disconnect(connection: Connection): void {
    if (!this.connections.delete(connection)) return
    connection.outbox.mute()
    connection.session.close()
  }

  dropConnections(code: number): number {
    const dropped = this.connections.size
    for (const connection of [...this.connections]) {
      connection.outbox.flush()
      this.disconnect(connection)
      connection.link.close(code)
    }
    return dropped
  }

  answer(request: Request): Promise<Reply> {
    return this.#front.handle(request)
  }

  drained({ outbox }: Connection): void {
    outbox.flush()
    if (this.#options.speed === "max") this.tick()
  }

  /** Starts the clock, whoever listens. */
  start(): void {
    if (this.#state !== "waiting" || this.#now === undefined) return
    this.#state = "playing"
    if (this.#options.speed !== "max")
      this.#clock = { wallMs: this.#wallMillis(), exchangeMs: this.#now, speed: this.#options.speed }
  }

  tick(): void {
    const wall = this.#wallMillis()
    this.#lagging = false
    if (this.#state === "waiting") this.#consider(wall)
    if (this.#state === "playing") this.#play(wall)
    for (const { outbox } of this.connections) outbox.flush()
  }

  close(): void {
    this.#state = "ended"
    this.#roomWanted?.()
  }

  stats(): PlayerStats {
    return {
      state: this.#state,
      exchangeTime: rfc3339(this.now),
      clock: this.#clock ?? null,
      played: Object.fromEntries(this.#played),
      sent: Object.fromEntries(this.#sent),
      gapsAnnounced: this.#nextGap,
      connections: this.connections.size
    }
  }

  get #waiting(): number {
    return this.#queue.length - this.#head
  }

  get #isSubscribed(): boolean {
    return [...this.connections].some(({ session }) => session.subscribed > 0)
  }

  /** Frames from before the span are never sent: they say how things stand. */
  #standBefore(): void {
    const from = this.#options.fromMillis
    if (from === undefined) return
    while (this.#head < this.#queue.length && this.#queue[this.#head]!.atMillis < from)
      this.#floor.apply(this.#queue[this.#head++]!)
  }

  #consider(wall: number): void {
    const { holdMillis } = this.#options
    if (holdMillis === undefined) {
      this.start()
      return
    }
    if (this.#waiting === 0 && !this.#sourceEnded) return
    if (this.#hub.version !== this.#hubVersion) {
      this.#hubVersion = this.#hub.version
      this.#commandedAt = wall
    }
    if (this.#isSubscribed && wall - this.#commandedAt >= holdMillis) this.start()
  }

  #play(wall: number): void {
    const clock = this.#clock
    const isTimed = clock !== undefined
    if (!isTimed && !this.#isSubscribed) return
    const until = isTimed ? clock.exchangeMs + (wall - clock.wallMs) * clock.speed : Number.POSITIVE_INFINITY
    let left = mostABeat
    while (this.#head < this.#queue.length) {
      if (left-- === 0) {
        this.#lagging = isTimed || !this.#isBlocked
        break
      }
      if (left % 64 === 0 && !isTimed && this.#isBlocked) break
      const frame = this.#queue[this.#head]!
      if (frame.atMillis > until) break
      this.#head += 1
      this.#announceGaps(frame.atMillis)
      this.#now = Math.max(this.now, frame.atMillis)
      this.#publish(frame)
    }
    if (this.#waiting === 0) {
      this.#queue = []
      this.#head = 0
    }
    if (isTimed && (this.#waiting > 0 || !this.#sourceEnded)) {
      const reached = Math.min(until, this.#queue[this.#head]?.atMillis ?? until)
      this.#now = Math.max(this.now, Math.floor(reached))
      this.#announceGaps(this.now)
    }
    if (this.#waiting < mostWaiting / 2) {
      this.#roomWanted?.()
      this.#roomWanted = undefined
    }
    if (this.#waiting === 0 && this.#sourceEnded) this.#finish()
  }

  get #isBlocked(): boolean {
    for (const { outbox, session } of this.connections) {
      if (outbox.waitingBytes > aheadBytes / 2) outbox.flush()
      if (session.subscribed > 0 && outbox.waitingBytes > aheadBytes) return true
    }
    return false
  }

  #publish(frame: Recorded): void {
    const { channel, msg, tail, ticker, type } = frame
    this.#floor.apply(frame)
    count(this.#played, type)
    this.#tail = tail
    const named = channel.endsWith("lifecycle_v2") || channel.endsWith("_lifecycle") ? "" : ticker
    const text =
      channel === "orderbook_delta"
        ? ({ useYesPrice }: Subscription) => (useYesPrice ? inYesPrices(type, msg) : msg)
        : () => msg
    this.#hub.publish(channel, named, type, text, this.#entryOf(type))
    this.#tail = ""
  }

  #entryOf(type: string): Entry {
    let entry = this.#entries.get(type)
    if (entry === undefined) {
      entry = { type }
      this.#entries.set(type, entry)
    }
    return entry
  }

  #announceGaps(untilMillis: number): void {
    for (; this.#nextGap < this.#gaps.length; this.#nextGap++) {
      const gap = this.#gaps[this.#nextGap]!
      if (gap.fromMillis > untilMillis) return
      this.#tell("replay_gap", {
        feed: gap.feed,
        market_ticker: gap.market,
        from_ts_ms: gap.fromMillis,
        to_ts_ms: gap.toMillis,
        cause: gap.cause
      })
    }
  }

  #tell(type: string, msg: unknown): void {
    const text = JSON.stringify({ type, msg })
    for (const { outbox } of this.connections) outbox.push(text, this.#entryOf(type))
  }

  #finish(): void {
    this.#announceGaps(Number.POSITIVE_INFINITY)
    this.#state = "ended"
    let frames = 0
    for (const n of this.#played.values()) frames += n
    this.#tell("replay_end", { frames, ts_ms: this.now })
  }
}
