import type { Duplex } from "node:stream"
import { setTimeout } from "node:timers/promises"
import type { BurstStamp } from "./Burst.ts"
import { Bursts } from "./Burst.ts"
import { day, iso } from "./Calendar.ts"
import { FaultSwitch } from "./FaultSwitch.ts"
import type { Faults } from "./Faults.ts"
import { Feed } from "./Feed.ts"
import { type Floor, floorOf } from "./Floor.ts"
import type { Request } from "./Front.ts"
import { Hub, type Subscription } from "./Hub.ts"
import type { AcceptedKey, SimulatorOptions } from "./Options.ts"
import { type Entry, Outbox } from "./Outbox.ts"
import type { Reply } from "./Reply.ts"
import { throughFaults } from "./RestFaults.ts"
import { Routes } from "./Routes.ts"
import { ledgerChannel, makeLedger, type SentLedger } from "./SentLedger.ts"
import type { Connection, Link, Served } from "./Served.ts"
import { Session } from "./Session.ts"
import { Verifier } from "./Verifier.ts"
import { World } from "./World.ts"

/** exchangeMs(wall) = exchangeMs + (wall − wallMs) · speed. */
export interface ClockMap {
  readonly wallMs: number
  readonly exchangeMs: number
  readonly speed: number
}

export interface Stats {
  readonly frames: Readonly<Record<string, number>>
  /** Data frames that were to be sent and never will be, by type. */
  readonly dropped: Readonly<Record<string, number>>
  readonly connections: number
  /** Connections ended, or left half-open, by a fault. */
  readonly severed: number
  readonly requests: number
  readonly http429: number
  readonly tokens: number
  readonly markets: number
  readonly settled: number
  readonly paused: boolean
  /** The exchange is under maintenance. */
  readonly maintenance: boolean
  readonly exchangeTime: string
}

const tenMinutesBeforeTheHour = (wall: number): number => Math.floor(wall / 3_600_000) * 3_600_000 + 50 * 60_000
const loadBurst = 5_000
/** Exchange milliseconds that extra frames are spread over at a time: their stamps and those of the others stay in order but for this. */
const loadSpan = 20
const halfOpenMillis = 120_000

const count = (counts: Map<string, number>, type: string) => counts.set(type, (counts.get(type) ?? 0) + 1)

/** The exchange without its sockets: world, feed, routes and sessions on one clock. */
export class Engine implements Served {
  readonly world: World
  readonly feed: Feed
  readonly hub: Hub
  readonly routes: Routes
  readonly verifier: Verifier
  readonly clock: ClockMap
  readonly faults: FaultSwitch
  readonly connections = new Set<Connection>()
  paused = false
  readonly #floor: Floor
  readonly #options: SimulatorOptions
  readonly #wallMillis: () => number
  readonly #sent: SentLedger
  readonly #dropped: SentLedger
  readonly #poisoned: SentLedger
  readonly #frames = new Map<string, number>()
  readonly #lost = new Map<string, number>()
  readonly #bursts: Bursts
  /** Sessions of lost connections whose frames still go to the dropped ledger. */
  #ghosts: Array<{ readonly session: Session; readonly untilMs: number }> = []
  #severed = 0
  #advanced = 0
  #catchingUp = false
  #loadCredit = 0
  #loadWall: number

  constructor(options: SimulatorOptions, keys: ReadonlyArray<AcceptedKey>, wallMillis: () => number) {
    const wallMs = wallMillis()
    const exchangeMs = options.startMs ?? tenMinutesBeforeTheHour(wallMs)
    const besides = options.ledger._tag === "None" ? options.ledger : ({ _tag: "Memory" } as const)
    this.clock = { wallMs, exchangeMs, speed: options.speed }
    this.#options = options
    this.#wallMillis = wallMillis
    this.#loadWall = wallMs
    this.#sent = makeLedger(options.ledger)
    this.#dropped = makeLedger(besides)
    this.#poisoned = makeLedger(besides)
    this.#bursts = new Bursts(wallMillis)
    this.world = new World(options.seed, exchangeMs)
    this.#floor = floorOf(this.world)
    this.hub = new Hub(
      options.bufferBytes,
      options.strictness.sendingTs ? () => `,"sending_ts_ms":${this.wantedNow()}` : () => ""
    )
    this.feed = new Feed(this.world, this.hub, options.strictness, this.#bursts, options.keepDays * day)
    this.verifier = new Verifier(keys, options.strictness)
    this.faults = new FaultSwitch(options.seed, options.faults, wallMs, {
      setTamper: (tamper) => {
        this.hub.tamper = tamper
      },
      setSkew: (millis) => {
        this.feed.skewMs = millis
      },
      dropped: (entry) => this.#drop(entry),
      disconnect: (kind) =>
        kind === "half-open" ? this.halfOpen() : this.dropConnections(kind === "cut" ? 1006 : Number(kind))
    })
    this.routes = new Routes(
      {
        world: this.world,
        strictness: options.strictness,
        startMs: exchangeMs,
        active: () => !this.faults.maintenance
      },
      this.verifier,
      wallMillis,
      options.tokens,
      options.anonymousTokens
    )
    this.faults.beat(wallMs, this.world.now)
  }

  get upgradeStatus(): number | undefined {
    return this.faults.upgradeStatus
  }

  drained({ outbox }: Connection) {
    outbox.flush()
  }

  /** Where the clock is; the world follows it. */
  wantedNow(): number {
    const { exchangeMs, speed, wallMs } = this.clock
    return exchangeMs + this.#advanced + Math.floor((this.#wallMillis() - wallMs) * speed)
  }

  connect(socket: Duplex, link: Link): Connection {
    const outbox: Outbox = new Outbox(
      socket,
      ({ key, ticker, type }) => {
        count(this.#frames, type)
        if (ticker === undefined || key === undefined) return
        const channel = ledgerChannel(type)
        if (channel === "poison") this.#poisoned.record(channel, ticker, key, this.world.now)
        else if (channel !== undefined) this.#sent.record(channel, ticker, key, this.world.now)
      },
      (entry, waited) => {
        if (waited || this.#isMissedBy(outbox, entry)) this.#drop(entry)
      }
    )
    const session = new Session(this.#floor, this.hub, this.#options.strictness, outbox, this.#wallMillis, this.faults)
    const connection: Connection = { session, outbox, link, halfOpenSince: undefined }
    this.connections.add(connection)
    return connection
  }

  disconnect(connection: Connection) {
    if (!this.connections.delete(connection)) return
    connection.outbox.mute()
    const { missedSeconds } = this.faults.faults
    if (missedSeconds === 0) return connection.session.close()
    connection.session.deafen()
    this.#ghosts.push({ session: connection.session, untilMs: this.#wallMillis() + missedSeconds * 1000 })
  }

  /** A REST request, through the faults that are on. */
  answer(request: Request): Promise<Reply> {
    const { chances, faults, storm } = this.faults
    return throughFaults(faults, storm, chances, this.world, request.target, () => this.routes.handle(request))
  }

  /** One beat: brings the world to its clock and hands what happened to the sockets. */
  tick() {
    const wall = this.#wallMillis()
    this.faults.beat(wall, this.world.now)
    this.#lookAfter(wall)
    if (this.paused) return this.#flush()
    const wanted = this.wantedNow()
    let arrived = true
    do {
      const from = this.world.now
      const to = this.#options.rate > 0 ? Math.min(wanted, from + loadSpan) : wanted
      arrived = this.feed.pump(to)
      if (arrived) this.#loadFrames(from, wanted)
    } while (arrived && this.world.now < wanted)
    this.#catchingUp = !arrived
    this.#flush()
  }

  /** True when the world still lags its clock and wants another beat at once. */
  get lagging(): boolean {
    return this.#catchingUp && !this.paused
  }

  /** Moves a clock that stands still (speed 0), and everything with it. */
  advance(millis: number) {
    this.#advanced += millis
    do this.tick()
    while (this.lagging)
  }

  /** Stops the flow; done when everything generated so far is with the sockets. */
  async pause(): Promise<void> {
    this.paused = true
    while ([...this.connections].some(({ outbox }) => !outbox.empty)) {
      this.#flush()
      await setTimeout(2)
    }
  }

  resume() {
    this.paused = false
    this.#loadWall = this.#wallMillis()
  }

  sent(channel: string, timed = false): string {
    return this.#sent.lines(ledgerChannel(channel) ?? channel, timed)
  }

  dropped(channel: string, timed = false): string {
    return this.#dropped.lines(ledgerChannel(channel) ?? channel, timed)
  }

  poisoned(): string {
    return this.#poisoned.lines("poison")
  }

  get burstStamps(): ReadonlyArray<BurstStamp> {
    return this.#bursts.stamps
  }

  /** Changes the faults; the reason when it cannot. */
  setFaults(change: unknown): Faults | string {
    const wall = this.#wallMillis()
    const problem = this.faults.change(change, wall)
    if (problem !== undefined) return problem
    this.faults.beat(wall, this.world.now)
    return this.faults.faults
  }

  burst(markets: number, withinSeconds: number, leadSeconds: number) {
    const scale = 1000 * (this.clock.speed === 0 ? 1 : this.clock.speed)
    this.feed.burst(markets, withinSeconds * scale, Math.max(1_000, leadSeconds * scale))
  }

  dropConnections(code: number): number {
    const dropped = this.connections.size
    for (const connection of [...this.connections]) {
      connection.outbox.flush()
      this.disconnect(connection)
      connection.link.close(code)
    }
    this.#severed += dropped
    return dropped
  }

  /** Leaves every socket open and sends nothing more through it, until the other end gives up or two minutes passed. */
  halfOpen(): number {
    let left = 0
    for (const connection of this.connections) {
      if (connection.halfOpenSince !== undefined) continue
      connection.outbox.flush()
      connection.outbox.mute()
      connection.session.deafen()
      connection.link.deafen()
      connection.halfOpenSince = this.#wallMillis()
      left += 1
    }
    this.#severed += left
    return left
  }

  stats(): Stats {
    return {
      frames: Object.fromEntries(this.#frames),
      dropped: Object.fromEntries(this.#lost),
      connections: this.connections.size,
      severed: this.#severed,
      requests: this.routes.requests,
      http429: this.routes.refusedRequests,
      tokens: this.routes.tokens,
      markets: this.feed.openMarkets,
      settled: this.feed.settledMarkets,
      paused: this.paused,
      maintenance: this.faults.maintenance,
      exchangeTime: iso(this.world.now)
    }
  }

  close() {
    for (const ledger of [this.#sent, this.#dropped, this.#poisoned]) ledger.close()
  }

  /** Whether a frame is missing because this connection is gone: no other one hears it, and none that is gone was the last to. */
  #isMissedBy(outbox: Outbox, { ticker = "", type }: Entry): boolean {
    const wanting: ReadonlyArray<Subscription> = [
      ...this.hub.everythingOf(type),
      ...(this.hub.namedOf(type, ticker) ?? [])
    ]
    return wanting.every((other) => other.outbox.muted) && wanting.at(-1)?.outbox === outbox
  }

  #drop({ key, ticker, type }: Entry) {
    const channel = ledgerChannel(type)
    if (channel === undefined || channel === "poison") return
    count(this.#lost, type)
    if (ticker !== undefined && key !== undefined) this.#dropped.record(channel, ticker, key, this.world.now)
  }

  #lookAfter(wall: number) {
    if (this.#ghosts.some(({ untilMs }) => untilMs <= wall)) {
      for (const { session, untilMs } of this.#ghosts) if (untilMs <= wall) session.close()
      this.#ghosts = this.#ghosts.filter(({ untilMs }) => untilMs > wall)
    }
    for (const connection of this.connections) {
      connection.session.beat(wall)
      if (connection.halfOpenSince === undefined || wall < connection.halfOpenSince + halfOpenMillis) continue
      this.disconnect(connection)
      connection.link.close(1006)
    }
  }

  /** The extra frames of the span since `from`, which ends the sooner the further `wanted` is away. */
  #loadFrames(from: number, wanted: number) {
    const wall = this.#wallMillis()
    this.#loadCredit = Math.min(loadBurst, this.#loadCredit + ((wall - this.#loadWall) / 1000) * this.#options.rate)
    this.#loadWall = wall
    const span = this.world.now - from
    if (span < 1) return
    const count = Math.floor((this.#loadCredit * span) / (span + wanted - this.world.now))
    if (count < 1) return
    this.#loadCredit -= count
    this.feed.load(count, from, this.world.now)
  }

  #flush() {
    for (const { outbox } of this.connections) outbox.flush()
  }
}
