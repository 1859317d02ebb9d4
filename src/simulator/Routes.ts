import * as Candles from "./CandleRoutes.ts"
import * as Exchange from "./ExchangeRoutes.ts"
import { type Caller, Front, type Request, signedOnly } from "./Front.ts"
import type { Scene } from "./MarketRoutes.ts"
import * as Markets from "./MarketRoutes.ts"
import { json, notFound, type Reply } from "./Reply.ts"
import { TokenBucket } from "./TokenBucket.ts"
import * as Trades from "./TradeRoutes.ts"
import type { Verifier } from "./Verifier.ts"

/** The REST side of the exchange: a request in, a reply out. */
export class Routes {
  readonly #scene: Scene
  readonly #front: Front

  constructor(
    scene: Scene,
    verifier: Verifier,
    wallMillis: () => number,
    tokens: { readonly refillRate: number; readonly capacity: number },
    anonymousTokens: { readonly refillRate: number; readonly capacity: number } | undefined
  ) {
    this.#scene = scene
    this.#front = new Front({
      verifier,
      wallMillis,
      tokens,
      anonymousTokens,
      unauthorizedCode: scene.strictness.unauthorizedCode,
      dispatch: (path, query, caller) => this.#dispatch(path, query, caller)
    })
  }

  get requests(): number {
    return this.#front.requests
  }

  get refusedRequests(): number {
    return this.#front.refusedRequests
  }

  /** Tokens left of the busiest key. */
  get tokens(): number {
    return this.#front.tokens
  }

  handle(request: Request): Promise<Reply> {
    return this.#front.handle(request)
  }

  #dispatch(path: ReadonlyArray<string>, query: URLSearchParams, caller: Caller): Reply | Promise<Reply> {
    const scene = this.#scene
    const [root, a, b, c, d] = path
    const shape = path.length
    if (root === "events") {
      if (a === undefined) return Markets.events(scene, query)
      if (a === "multivariate") return Markets.comboEvents(scene, query)
      if (a === "fee_changes") return json({ cursor: "", event_fee_changes: [] })
      if (shape === 2) return Markets.event(scene, query, a)
      if (b === "metadata") return Markets.eventMetadata(scene, a)
    }
    if (root === "markets") {
      if (a === undefined) return Markets.markets(scene, query)
      if (a === "trades") return Trades.trades(scene, query)
      if (a === "candlesticks") return Candles.batchCandles(scene, query)
      if (a === "orderbooks")
        return this.#signed(caller, scene.strictness.orderbookAuth, () => Trades.orderbooks(scene, query))
      if (b === "orderbook")
        return this.#signed(caller, scene.strictness.orderbookAuth, () => Trades.orderbook(scene, query, a))
      if (shape === 2) return Markets.market(scene, a)
    }
    if (root === "series") {
      if (a === undefined) return Markets.seriesList(scene, query)
      if (a === "fee_changes") return json({ series_fee_change_arr: [] })
      if (shape === 2) return Markets.series(scene, a)
      if (b === "markets" && c !== undefined && d === "candlesticks") return Candles.marketCandles(scene, query, a, c)
      if (b === "events" && c !== undefined && d === "candlesticks") return Candles.eventCandles(scene, query, a, c)
    }
    if (root === "historical") {
      if (a === "cutoff") return Exchange.cutoff(scene)
      if (a === "trades") return Trades.historicalTrades(scene, query)
      if (a === "markets" && b === undefined) return Markets.historicalMarkets(scene, query)
      if (a === "markets" && b !== undefined && shape === 3) return Markets.historicalMarket(scene, b)
      if (a === "markets" && b !== undefined && c === "candlesticks") return Candles.historicalCandles(scene, query, b)
    }
    if (root === "account" && a === "limits")
      return this.#signed(caller, true, () => Exchange.limits(caller.bucket ?? new TokenBucket(0, 0, 0)))
    if (root === "account" && a === "endpoint_costs") return Exchange.endpointCosts
    if (root === "exchange" && a === "status") return Exchange.status(scene)
    if (root === "exchange" && a === "schedule") return Exchange.schedule
    if (root === "exchange" && a === "user_data_timestamp") return Exchange.userDataTimestamp(scene)
    if (root === "search" && a === "tags_by_categories") return Exchange.tagsByCategories(scene)
    if (root === "search" && a === "filters_by_sport") return json({ filters_by_sports: {}, sport_ordering: [] })
    if (root === "milestones") return json({ cursor: "", milestones: [] })
    if (root === "structured_targets") return json({ cursor: "", structured_targets: [] })
    if (root === "multivariate_event_collections") return Exchange.collections(scene)
    return notFound
  }

  #signed(caller: Caller, needed: boolean, answer: () => Reply): Reply {
    return signedOnly(caller, needed, this.#scene.strictness.unauthorizedCode, answer)
  }
}
