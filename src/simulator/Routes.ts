import * as Candles from "./CandleRoutes.ts"
import * as Exchange from "./ExchangeRoutes.ts"
import type { Scene } from "./MarketRoutes.ts"
import * as Markets from "./MarketRoutes.ts"
import { Refusal } from "./Query.ts"
import { json, notFound, type Reply, tooManyRequests, unauthorized } from "./Reply.ts"
import { TokenBucket } from "./TokenBucket.ts"
import * as Trades from "./TradeRoutes.ts"
import type { SignedHeaders, Verifier } from "./Verifier.ts"

export const restPrefix = "/trade-api/v2"
const cost = 10

export interface Request {
  readonly method: string
  /** Path and query as sent. */
  readonly target: string
  readonly headers: SignedHeaders
}

interface Caller {
  readonly keyId: string | undefined
  readonly bucket: TokenBucket | undefined
}

/** The REST side of the exchange: a request in, a reply out. */
export class Routes {
  requests = 0
  refusedRequests = 0
  readonly #scene: Scene
  readonly #verifier: Verifier
  readonly #wallMillis: () => number
  readonly #buckets = new Map<string, TokenBucket>()
  readonly #tokens: { readonly refillRate: number; readonly capacity: number }
  readonly #anonymous: TokenBucket | undefined

  constructor(
    scene: Scene,
    verifier: Verifier,
    wallMillis: () => number,
    tokens: { readonly refillRate: number; readonly capacity: number },
    anonymousTokens: { readonly refillRate: number; readonly capacity: number } | undefined
  ) {
    this.#scene = scene
    this.#verifier = verifier
    this.#wallMillis = wallMillis
    this.#tokens = tokens
    this.#anonymous =
      anonymousTokens === undefined
        ? undefined
        : new TokenBucket(anonymousTokens.refillRate, anonymousTokens.capacity, wallMillis())
  }

  /** Tokens left of the busiest key. */
  get tokens(): number {
    const now = this.#wallMillis()
    return Math.min(this.#tokens.capacity, ...[...this.#buckets.values()].map((bucket) => bucket.available(now)))
  }

  async handle(request: Request): Promise<Reply> {
    this.requests += 1
    const now = this.#wallMillis()
    const url = new URL(request.target, "http://exchange")
    if (url.pathname.length > 1 && url.pathname.endsWith("/"))
      return { status: 301, headers: { location: url.pathname.replace(/\/+$/, "") + url.search }, body: "" }
    const verdict = this.#verifier.verify(request.headers, request.method, url.pathname, now)
    const code = this.#scene.strictness.unauthorizedCode
    if (verdict._tag === "Refused") return unauthorized(code, verdict.details)
    const keyId = verdict._tag === "Signed" ? verdict.keyId : undefined
    const caller: Caller = { keyId, bucket: keyId === undefined ? this.#anonymous : this.#bucketOf(keyId, now) }
    if (caller.bucket?.take(cost, now) === false) {
      this.refusedRequests += 1
      return tooManyRequests
    }
    if (!url.pathname.startsWith(`${restPrefix}/`)) return notFound
    if (request.method !== "GET")
      return json({ error: { code: "method_not_allowed", message: "method not allowed" } }, 405)
    const path = url.pathname
      .slice(restPrefix.length + 1)
      .split("/")
      .map(decodeURIComponent)
    const reply = await this.#answer(path, url.searchParams, caller)
    return keyId === undefined && reply.status === 200
      ? { ...reply, headers: { "cache-control": "public, max-age=15", "x-kalshi-cache-hits": "0", ...reply.headers } }
      : reply
  }

  #bucketOf(keyId: string, now: number): TokenBucket {
    const known = this.#buckets.get(keyId)
    if (known !== undefined) return known
    const bucket = new TokenBucket(this.#tokens.refillRate, this.#tokens.capacity, now)
    this.#buckets.set(keyId, bucket)
    return bucket
  }

  async #answer(path: ReadonlyArray<string>, query: URLSearchParams, caller: Caller): Promise<Reply> {
    try {
      return await this.#dispatch(path, query, caller)
    } catch (error) {
      if (error instanceof Refusal) return error.reply
      throw error
    }
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
    return needed && caller.keyId === undefined
      ? unauthorized(this.#scene.strictness.unauthorizedCode, "signature required")
      : answer()
  }
}
