import { type Action, Agenda } from "./Agenda.ts"
import { novel } from "./Bodies.ts"
import { determinedAt, type EventSpec, type MarketSpec, settledAt, statusAt } from "./Catalog.ts"
import * as Frames from "./Frames.ts"
import type { Hub } from "./Hub.ts"
import type { Strictness } from "./Options.ts"
import type { Tape, TopOfBook } from "./Tape.ts"
import type { World } from "./World.ts"

const mostSteps = 3_000

interface LoadMarket {
  readonly tape: Tape
  top: TopOfBook
  parts: readonly [string, string]
  lastMs: number
}

/** Moves the world along its clock and tells the hub what happens. */
export class Feed {
  readonly #world: World
  readonly #hub: Hub
  readonly #strictness: Strictness
  readonly #agenda = new Agenda()
  readonly #open = new Map<string, Tape>()
  readonly #announced = new Map<string, "Determined" | "Settled">()
  #load: Array<LoadMarket> = []
  #loadVersion = -1
  #loadAt = 0
  settledMarkets = 0

  constructor(world: World, hub: Hub, strictness: Strictness) {
    this.#world = world
    this.#hub = hub
    this.#strictness = strictness
    for (const event of world.catalog.events) {
      if (event.closeMs + event.determineDelay + event.series.timerSeconds * 1000 + 60_000 < world.now) continue
      this.#plan(event)
    }
  }

  get openMarkets(): number {
    return this.#open.size
  }

  /** Everything that happens up to an exchange instant; false when it stopped half-way to let others run. */
  pump(toMs: number): boolean {
    const world = this.#world
    for (let steps = 0; ; steps++) {
      const created = world.catalog.nextCreatedMs
      const next = Math.min(this.#agenda.nextMs, created)
      if (next > toMs || steps >= mostSteps) {
        world.now = Math.max(world.now, Math.min(toMs, next - 1))
        return next > toMs
      }
      world.now = Math.max(world.now, next)
      if (created <= this.#agenda.nextMs) {
        const event = world.catalog.create()
        this.#plan(event)
        this.#agenda.add(event.createdMs, { _tag: "EventCreated", event })
        continue
      }
      const action = this.#agenda.take()
      if (action !== undefined) this.#act(next, action)
    }
  }

  /** Extra ticker frames that differ in size only, at instants of the span that just passed. */
  load(count: number, fromMs: number, toMs: number): number {
    this.#refreshLoad()
    const markets = this.#load
    if (markets.length === 0) return 0
    let sent = 0
    for (let i = 0; i < count; i++) {
      const market = markets[this.#loadAt++ % markets.length]!
      const { tape } = market
      if (market.top !== tape.top) {
        market.top = tape.top
        market.parts = Frames.tickerParts(tape.market, tape.top)
      }
      const ticker = tape.market.ticker
      const even = Math.min(toMs, fromMs + 1 + Math.floor(((i + 1) / count) * (toMs - fromMs - 1)))
      const ms = Math.min(Math.max(even, market.lastMs + 1, market.top.ms + 1), toMs)
      market.lastMs = ms
      const msg = Frames.withSize(market.parts, 100 + ((this.#loadAt * 7919) % 99_991), ms)
      const entry = { type: "ticker", ticker, key: ms }
      for (const subscription of this.#hub.everythingOf("ticker"))
        if (!subscription.outbox.blocked) this.#hub.send(subscription, "ticker", msg, entry)
      const named = this.#hub.namedOf("ticker", ticker)
      if (named !== undefined)
        for (const subscription of named)
          if (!subscription.everything && !subscription.outbox.blocked)
            this.#hub.send(subscription, "ticker", msg, entry)
      sent += 1
    }
    return sent
  }

  deactivate(market: MarketSpec) {
    this.#world.deactivate(market)
    this.#lifecycle(market, "deactivated", Frames.paused(market, true))
  }

  activate(market: MarketSpec) {
    this.#world.activate(market)
    this.#lifecycle(market, "activated", Frames.paused(market, false))
  }

  moveClose(market: MarketSpec, closeMs: number) {
    this.#world.moveClose(market, closeMs)
    this.#closeMoved(market)
  }

  #refreshLoad() {
    const version = this.#hub.version + this.#open.size * 1e6
    if (version === this.#loadVersion) return
    this.#loadVersion = version
    const everything = this.#hub.everythingOf("ticker").size > 0
    const tickers = everything ? this.#open.keys() : this.#hub.tickersOf("ticker")
    this.#load = []
    for (const ticker of tickers) {
      const tape = this.#open.get(ticker)
      if (tape === undefined || tape.tops.length === 0) continue
      this.#load.push({ tape, top: tape.top, parts: Frames.tickerParts(tape.market, tape.top), lastMs: 0 })
    }
  }

  #plan(event: EventSpec) {
    const { now } = this.#world
    for (const market of event.markets) {
      const at = (ms: number, action: Action) => {
        if (ms > now) this.#agenda.add(ms, action)
      }
      at(market.createdMs, { _tag: "Created", market })
      for (const pause of market.pauses) {
        at(pause.fromMs, { _tag: "Paused", market })
        at(pause.toMs, { _tag: "Resumed", market })
      }
      for (const move of market.closeMoves) at(move.atMs, { _tag: "CloseMoved", market })
      at(determinedAt(market, now), { _tag: "Determined", market })
      at(settledAt(market, now), { _tag: "Settled", market })
      if (event.openMs > now) at(event.openMs, { _tag: "Open", market })
      else if (statusAt(market, now - 60_000) !== "finalized") this.#openMarket(market)
    }
  }

  #openMarket(market: MarketSpec) {
    const tape = this.#world.adopt(market)
    tape.advance(this.#world.now)
    if (tape.ended) return
    this.#open.set(market.ticker, tape)
    this.#agenda.add(tape.nextMs, { _tag: "Step", tape })
  }

  #act(ms: number, action: Action) {
    switch (action._tag) {
      case "Step":
        return this.#step(ms, action.tape)
      case "Open":
        return this.#openMarket(action.market)
      case "EventCreated":
        return this.#eventCreated(action.event)
      case "Created":
        return this.#lifecycle(action.market, "created", Frames.created(action.market))
      case "Paused":
        return this.#lifecycle(action.market, "deactivated", Frames.paused(action.market, true))
      case "Resumed":
        return this.#lifecycle(action.market, "activated", Frames.paused(action.market, false))
      case "CloseMoved":
        return this.#closeMoved(action.market)
      default:
        return this.#conclude(ms, action._tag, action.market)
    }
  }

  #step(ms: number, tape: Tape) {
    if (tape.ended) return
    if (tape.nextMs > ms) return this.#agenda.add(tape.nextMs, { _tag: "Step", tape })
    const changed = tape.step()
    const { market } = tape
    const hub = this.#hub
    const { ticker } = market
    if (changed && hub.wanted("ticker", ticker)) {
      const msg = Frames.ticker(market, tape.top, this.#strictness.novelty)
      hub.publish("ticker", ticker, "ticker", () => msg, { type: "ticker", ticker, key: tape.top.ms })
    }
    if (tape.newFills > 0 && hub.wanted("trade", ticker)) {
      for (const fill of tape.fills.slice(-tape.newFills)) {
        const msg = Frames.trade(market, fill)
        hub.publish("trade", ticker, "trade", () => msg, { type: "trade", ticker })
      }
    }
    if (tape.deltas.length > 0 && hub.namedOf("orderbook_delta", ticker) !== undefined)
      for (const delta of tape.deltas)
        hub.publish(
          "orderbook_delta",
          ticker,
          "orderbook_delta",
          ({ useYesPrice }) => Frames.delta(market, delta, tape.stepMs, useYesPrice),
          {
            type: "orderbook_delta",
            ticker
          }
        )
    if (tape.ended) this.#open.delete(ticker)
    else this.#agenda.add(tape.nextMs, { _tag: "Step", tape })
  }

  #conclude(ms: number, stage: "Determined" | "Settled", market: MarketSpec) {
    const due = stage === "Determined" ? determinedAt(market, ms) : settledAt(market, ms)
    const announced = this.#announced.get(market.ticker)
    if (announced === stage || announced === "Settled") return
    if (due > ms) return this.#agenda.add(due, { _tag: stage, market })
    this.#announced.set(market.ticker, stage)
    if (stage === "Determined") {
      const outcome = this.#world.outcome(market)
      return this.#lifecycle(market, "determined", Frames.determined(market, ms, outcome?.result ?? "no"))
    }
    this.settledMarkets += 1
    this.#lifecycle(market, "settled", Frames.settled(market, ms))
    if (market.closeMoves.length === 0) this.#announced.delete(market.ticker)
  }

  #closeMoved(market: MarketSpec) {
    const { now } = this.#world
    this.#agenda.add(Math.max(now, determinedAt(market, now)), { _tag: "Determined", market })
    this.#agenda.add(Math.max(now, settledAt(market, now)), { _tag: "Settled", market })
    this.#lifecycle(market, "close_date_updated", Frames.closeMoved(market, now))
  }

  #channelOf(event: EventSpec): string {
    return event.series.kind === "combo" ? "multivariate_market_lifecycle" : "market_lifecycle_v2"
  }

  #lifecycle(market: MarketSpec, word: string, msg: string) {
    const channel = this.#channelOf(market.event)
    this.#hub.publish(channel, "", channel, () => msg, { type: channel, ticker: market.ticker, key: word })
  }

  #eventCreated(event: EventSpec) {
    const channel = this.#channelOf(event)
    const msg = Frames.eventCreated(event)
    this.#hub.publish(channel, "", "event_lifecycle", () => msg, { type: "event_lifecycle" })
    if (novel(this.#strictness.novelty * 5, event.ticker))
      this.#hub.publish(channel, "", "platform_notice", () => '{"notice":"maintenance planned","severity":2}', {
        type: "platform_notice"
      })
  }
}
