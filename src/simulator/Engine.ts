import type { Duplex } from "node:stream"
import { setTimeout } from "node:timers/promises"
import { iso } from "./Calendar.ts"
import { Feed } from "./Feed.ts"
import { Hub } from "./Hub.ts"
import type { AcceptedKey, SimulatorOptions } from "./Options.ts"
import { Outbox } from "./Outbox.ts"
import { Routes } from "./Routes.ts"
import { makeLedger, type SentLedger } from "./SentLedger.ts"
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
  readonly connections: number
  readonly requests: number
  readonly http429: number
  readonly tokens: number
  readonly markets: number
  readonly settled: number
  readonly paused: boolean
  readonly exchangeTime: string
}

export interface Connection {
  readonly session: Session
  readonly outbox: Outbox
  readonly close: (code: number) => void
}

const tenMinutesBeforeTheHour = (wall: number): number => Math.floor(wall / 3_600_000) * 3_600_000 + 50 * 60_000
const loadBurst = 5_000

/** The exchange without its sockets: world, feed, routes and sessions on one clock. */
export class Engine {
  readonly world: World
  readonly feed: Feed
  readonly hub: Hub
  readonly routes: Routes
  readonly verifier: Verifier
  readonly clock: ClockMap
  readonly connections = new Set<Connection>()
  paused = false
  readonly #options: SimulatorOptions
  readonly #wallMillis: () => number
  readonly #ledger: SentLedger
  readonly #frames = new Map<string, number>()
  #advanced = 0
  #catchingUp = false
  #loadCredit = 0
  #loadWall: number

  constructor(options: SimulatorOptions, keys: ReadonlyArray<AcceptedKey>, wallMillis: () => number) {
    const wallMs = wallMillis()
    const exchangeMs = options.startMs ?? tenMinutesBeforeTheHour(wallMs)
    this.clock = { wallMs, exchangeMs, speed: options.speed }
    this.#options = options
    this.#wallMillis = wallMillis
    this.#loadWall = wallMs
    this.#ledger = makeLedger(options.ledger)
    this.world = new World(options.seed, exchangeMs)
    this.hub = new Hub(
      options.bufferBytes,
      options.strictness.sendingTs ? () => `,"sending_ts_ms":${this.wantedNow()}` : () => ""
    )
    this.feed = new Feed(this.world, this.hub, options.strictness)
    this.verifier = new Verifier(keys, options.strictness)
    this.routes = new Routes(
      { world: this.world, strictness: options.strictness, startMs: exchangeMs },
      this.verifier,
      wallMillis,
      options.tokens,
      options.anonymousTokens
    )
  }

  /** Where the clock is; the world follows it. */
  wantedNow(): number {
    const { exchangeMs, speed, wallMs } = this.clock
    return exchangeMs + this.#advanced + Math.floor((this.#wallMillis() - wallMs) * speed)
  }

  connect(socket: Duplex, close: (code: number) => void): Connection {
    const outbox = new Outbox(socket, ({ key, ticker, type }) => {
      this.#frames.set(type, (this.#frames.get(type) ?? 0) + 1)
      if (ticker === undefined || key === undefined) return
      if (type === "ticker") this.#ledger.record("ticker", ticker, key)
      else if (type === "market_lifecycle_v2") this.#ledger.record("lifecycle", ticker, key)
    })
    const session = new Session(this.world, this.hub, this.#options.strictness, outbox, this.#wallMillis)
    const connection: Connection = { session, outbox, close }
    this.connections.add(connection)
    return connection
  }

  disconnect(connection: Connection) {
    connection.session.close()
    this.connections.delete(connection)
  }

  /** One beat: brings the world to its clock and hands what happened to the sockets. */
  tick() {
    if (this.paused) return this.#flush()
    const from = this.world.now
    const arrived = this.feed.pump(this.wantedNow())
    this.#catchingUp = !arrived
    if (arrived) this.#loadFrames(from)
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

  sent(channel: string): string {
    return this.#ledger.lines(channel)
  }

  dropConnections(code: number): number {
    const dropped = this.connections.size
    for (const connection of this.connections) connection.close(code)
    return dropped
  }

  stats(): Stats {
    return {
      frames: Object.fromEntries(this.#frames),
      connections: this.connections.size,
      requests: this.routes.requests,
      http429: this.routes.refusedRequests,
      tokens: this.routes.tokens,
      markets: this.feed.openMarkets,
      settled: this.feed.settledMarkets,
      paused: this.paused,
      exchangeTime: iso(this.world.now)
    }
  }

  close() {
    this.#ledger.close()
  }

  #loadFrames(from: number) {
    const wall = this.#wallMillis()
    this.#loadCredit = Math.min(loadBurst, this.#loadCredit + ((wall - this.#loadWall) / 1000) * this.#options.rate)
    this.#loadWall = wall
    const count = Math.floor(this.#loadCredit)
    if (count < 1 || this.world.now - from < 1) return
    this.#loadCredit -= count
    this.feed.load(count, from, this.world.now)
  }

  #flush() {
    for (const { outbox } of this.connections) outbox.flush()
  }
}
