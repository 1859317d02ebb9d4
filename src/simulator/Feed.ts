import { type Action, Agenda } from "./Agenda.ts"
import { novel, tradeId } from "./Bodies.ts"
import type { Bursts } from "./Burst.ts"
import { day, hour } from "./Calendar.ts"
import { determinedAt, type EventSpec, type FeeOverride, type MarketSpec, settledAt, statusAt } from "./Catalog.ts"
import * as Frames from "./Frames.ts"
import type { Hub } from "./Hub.ts"
import type { Strictness } from "./Options.ts"
import { deciCent, linearCent, type PriceStructure } from "./Prices.ts"
import { combine, hash, unit } from "./Random.ts"
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
  readonly #bursts: Bursts
  readonly #keepMs: number
  readonly #agenda = new Agenda()
  readonly #open = new Map<string, Tape>()
  readonly #announced = new Map<string, "Determined" | "Settled">()
  #load: Array<LoadMarket> = []
  #loadVersion = -1
  #loadAt = 0
  #forgetMs: number
  settledMarkets = 0
  /** Added to the stamps of the frames. */
  skewMs = 0

  /** Markets settled for longer than `keepMs` are forgotten. */
  constructor(world: World, hub: Hub, strictness: Strictness, bursts: Bursts, keepMs = 7 * day) {
    this.#world = world
    this.#hub = hub
    this.#strictness = strictness
    this.#bursts = bursts
    this.#keepMs = keepMs
    this.#forgetMs = world.now + hour
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
        this.#forget()
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
      const shown = ms + this.skewMs
      const msg = Frames.withSize(market.parts, 100 + ((this.#loadAt * 7919) % 99_991), shown)
      const entry = { type: "ticker", ticker, key: shown }
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
    const closed = this.#world.status(market) === "closed"
    this.#world.moveClose(market, closeMs)
    this.#closeMoved(market)
    if (!closed || this.#world.status(market) !== "active") return
    this.#openMarket(market)
    this.#lifecycle(market, "activated", Frames.paused(market, false))
  }

  dispute(market: MarketSpec) {
    this.#world.dispute(market)
  }

  amend(market: MarketSpec) {
    const { now } = this.#world
    this.#world.amend(market)
    this.#announced.set(market.ticker, "Determined")
    this.#lifecycle(market, "determined", Frames.determined(market, now, this.#world.outcome(market)?.result ?? "no"))
    this.#agenda.add(settledAt(market, now), { _tag: "Settled", market })
  }

  relevel(market: MarketSpec, structure: PriceStructure) {
    this.#world.relevel(market, structure)
    this.#lifecycle(market, "price_level_structure_updated", Frames.relevelled(market, structure))
  }

  rename(market: MarketSpec, yesSubTitle: string) {
    this.#world.rename(market, yesSubTitle)
    this.#lifecycle(market, "metadata_updated", Frames.renamed(market))
  }

  changeFees(event: EventSpec, override: Omit<FeeOverride, "atMs">) {
    this.#world.changeFees(event, override)
    const channel = this.#channelOf(event)
    const msg = Frames.feesChanged(event)
    this.#hub.publish(channel, "", "event_fee_update", () => msg, { type: "event_fee_update" })
  }

  /** New hourly markets, created within a span and opening `leadMs` after that. */
  burst(markets: number, withinMs: number, leadMs: number) {
    for (const event of this.#bursts.plan(markets, this.#world.now, withinMs, leadMs))
      this.#agenda.add(event.createdMs, { _tag: "EventListed", event })
  }

  #forget() {
    const { now } = this.#world
    if (now < this.#forgetMs) return
    this.#forgetMs = now + hour
    for (const market of this.#world.forget(now - this.#keepMs)) this.#announced.delete(market.ticker)
  }

  /** Things that hardly ever happen, to a seeded few. */
  #rarities(event: EventSpec, at: (ms: number, action: Action) => void) {
    const share = this.#strictness.novelty
    if (event.series.kind === "combo" || share === 0) return
    const life = event.closeMs - event.openMs
    const moment = (name: string) => event.openMs + Math.floor(life * (0.2 + 0.5 * unit(combine(hash(name), 0x7261))))
    if (novel(share / 2, `${event.ticker}/fees`)) at(moment(event.ticker), { _tag: "FeesChanged", event })
    for (const market of event.markets) {
      if (novel(share / 5, `${market.ticker}/name`)) at(moment(market.ticker), { _tag: "Renamed", market })
      if (novel(share / 10, `${market.ticker}/levels`)) at(moment(market.ticker), { _tag: "Relevelled", market })
    }
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
    const at = (ms: number, action: Action) => {
      if (ms > now) this.#agenda.add(ms, action)
    }
    this.#rarities(event, at)
    for (const market of event.markets) {
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
    if (this.#open.has(market.ticker)) return
    const tape = this.#world.adopt(market)
    tape.advance(this.#world.now)
    tape.reopen()
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
      case "EventListed":
        this.#plan(this.#world.catalog.list(action.event))
        for (const market of action.event.markets) this.#agenda.add(action.event.openMs, { _tag: "Resumed", market })
        return this.#eventCreated(action.event)
      case "FeesChanged":
        return this.changeFees(action.event, { type: "quadratic_with_maker_fees", multiplier: 0.5 })
      case "Renamed":
        return this.rename(action.market, `${action.market.yesSubTitle} (revised)`)
      case "Relevelled":
        return this.relevel(action.market, action.market.event.series.structure === linearCent ? deciCent : linearCent)
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
    const skew = this.skewMs
    if (changed) this.#bursts.note("first_tick", market.event, ticker, tape.top.ms)
    if (changed && hub.wanted("ticker", ticker)) {
      const top = skew === 0 ? tape.top : { ...tape.top, ms: tape.top.ms + skew }
      const msg = Frames.ticker(market, top, this.#strictness.novelty)
      hub.publish("ticker", ticker, "ticker", () => msg, { type: "ticker", ticker, key: top.ms })
    }
    if (tape.newFills > 0 && hub.wanted("trade", ticker)) {
      for (const fill of tape.fills.slice(-tape.newFills)) {
        const msg = Frames.trade(market, fill, fill.ms + skew)
        hub.publish("trade", ticker, "trade", () => msg, { type: "trade", ticker, key: tradeId(ticker, fill) })
      }
    }
    if (tape.deltas.length > 0 && hub.namedOf("orderbook_delta", ticker) !== undefined)
      for (const delta of tape.deltas)
        hub.publish(
          "orderbook_delta",
          ticker,
          "orderbook_delta",
          ({ useYesPrice }) => Frames.delta(market, delta, tape.stepMs + skew, useYesPrice),
          { type: "orderbook_delta", ticker, key: tape.stepMs + skew }
        )
    if (tape.ended) this.#open.delete(ticker)
    else this.#agenda.add(tape.nextMs, { _tag: "Step", tape })
  }

  #conclude(ms: number, stage: "Determined" | "Settled", market: MarketSpec) {
    const due = stage === "Determined" ? determinedAt(market, ms) : settledAt(market, ms)
    const announced = this.#announced.get(market.ticker)
    if (announced === stage || announced === "Settled") return
    if (due === Number.POSITIVE_INFINITY) return
    if (due > ms) return this.#agenda.add(due, { _tag: stage, market })
    this.#announced.set(market.ticker, stage)
    if (stage === "Determined") {
      const outcome = this.#world.outcome(market)
      return this.#lifecycle(market, "determined", Frames.determined(market, due, outcome?.result ?? "no"))
    }
    this.settledMarkets += 1
    this.#lifecycle(market, "settled", Frames.settled(market, ms))
    if (market.closeMoves.length === 0 && market.rulings.length === 0) this.#announced.delete(market.ticker)
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
    if (word === "created" || word === "activated")
      this.#bursts.note(word, market.event, market.ticker, this.#world.now)
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
