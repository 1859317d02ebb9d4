import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Session } from "../kalshi/KalshiSocket.ts"
import type { KalshiSocketError } from "../kalshi/KalshiSocketError.ts"
import { socketErrorCode } from "../kalshi/SocketErrorCode.ts"
import { plan } from "./Subscriptions.ts"

/** The channels whose subscriptions name markets. */
export const marketChannels = ["ticker", "trade", "orderbook_delta"] as const
export type MarketChannelName = (typeof marketChannels)[number]

export interface MarketChannelOptions {
  readonly channel: MarketChannelName
  /** Most markets to subscribe to. */
  readonly limit: number
  /** Most markets in one command. */
  readonly batchSize: number
  /** Hears which markets are about to be asked for their current state. */
  readonly expect: (tickers: ReadonlyArray<string>, nowMillis: number) => void
}

/** The markets of one channel on one connection. */
export interface MarketChannel {
  readonly channel: MarketChannelName
  readonly subscribed: ReadonlySet<string>
  readonly sid: () => number | undefined
  /**
   * Follows `wanted`, the first the most important; succeeds with the wanted markets that are not subscribed, being too many or
   * refused. A market that stays is never disturbed. Refused ones are asked for again when `again`.
   */
  readonly align: (
    wanted: ReadonlyArray<string>,
    again: boolean
  ) => Effect.Effect<ReadonlyArray<string>, KalshiSocketError>
  /** Makes the feed send the current state of one market that is subscribed. */
  readonly probe: Effect.Effect<void, KalshiSocketError>
  /** Asks for the order books of all its markets anew. */
  readonly refreshBooks: Effect.Effect<void, KalshiSocketError>
}

const codeOf = ({ reason }: KalshiSocketError): number | undefined =>
  reason._tag === "CommandRejected" ? reason.code : undefined

/** What the exchange refuses about markets, one of which may be to blame. */
const blamesMarkets = (error: KalshiSocketError) => [11, 16].includes(codeOf(error) ?? 0)
const isFull = (error: KalshiSocketError) => codeOf(error) === 26
const mayWorkLater = (error: KalshiSocketError) => socketErrorCode(codeOf(error) ?? 0).retryable

const patience = Schedule.exponential("250 millis").pipe(Schedule.upTo({ times: 4 }))

export const makeMarketChannel = (session: Session, options: MarketChannelOptions): MarketChannel => {
  const { batchSize, channel, limit } = options
  const subscribed = new Set<string>()
  const refused = new Set<string>()
  let sid: number | undefined

  const command = Effect.fnUntraced(function* (batch: ReadonlyArray<string>) {
    options.expect(batch, yield* Clock.currentTimeMillis)
    const snapshot = channel === "ticker" ? { sendInitialSnapshot: true } : {}
    if (sid === undefined) {
      const [subscription] = yield* session.subscribe({ channels: [channel], marketTickers: batch, ...snapshot })
      sid = subscription?.sid
    } else yield* session.updateSubscription({ sid, action: "add_markets", marketTickers: batch, ...snapshot })
  })

  /** A refused batch is halved until the market to blame stands alone. */
  const add = (batch: ReadonlyArray<string>): Effect.Effect<void, KalshiSocketError> =>
    command(batch).pipe(
      Effect.retry({ schedule: patience, while: mayWorkLater }),
      Effect.andThen(
        Effect.sync(() => {
          for (const ticker of batch) subscribed.add(ticker)
        })
      ),
      Effect.catchIf(blamesMarkets, (error) => {
        if (batch.length === 1) {
          refused.add(batch[0]!)
          return Effect.logWarning("the feed refuses a market", { channel, market: batch[0], reason: error.message })
        }
        const middle = Math.ceil(batch.length / 2)
        return Effect.andThen(add(batch.slice(0, middle)), add(batch.slice(middle)))
      })
    )

  const remove = Effect.fnUntraced(function* (batch: ReadonlyArray<string>) {
    if (sid !== undefined) yield* session.updateSubscription({ sid, action: "delete_markets", marketTickers: batch })
    for (const ticker of batch) subscribed.delete(ticker)
  })

  const align = Effect.fnUntraced(function* (wanted: ReadonlyArray<string>, again: boolean) {
    if (again) refused.clear()
    const acceptable = wanted.filter((ticker) => !refused.has(ticker))
    const steps = plan(subscribed, acceptable, { limit, batchSize })
    yield* Effect.forEach(steps.remove, remove, { discard: true })
    yield* Effect.forEach(steps.add, add, { discard: true }).pipe(
      Effect.catchIf(isFull, (error) =>
        Effect.logWarning("the feed takes no more markets on one connection", {
          channel,
          subscribed: subscribed.size,
          reason: error.message
        })
      )
    )
    return wanted.filter((ticker) => !subscribed.has(ticker))
  })

  const probe = Effect.suspend(() => {
    const last = [...subscribed].at(-1)
    return last === undefined ? Effect.void : Effect.andThen(remove([last]), add([last]))
  })

  const refreshBooks = Effect.suspend(() => {
    const tickers = [...subscribed]
    const batches = Array.from({ length: Math.ceil(tickers.length / batchSize) }, (_, index) =>
      tickers.slice(index * batchSize, (index + 1) * batchSize)
    )
    return Effect.forEach(
      batches,
      (marketTickers) =>
        sid === undefined
          ? Effect.void
          : session.updateSubscription({ sid, action: "get_snapshot", marketTickers }).pipe(
              Effect.catchIf(
                ({ reason }) => reason._tag === "CommandTimeout" || reason._tag === "CommandRejected",
                (error) => Effect.logWarning("books were asked for and did not come", { reason: error.message })
              )
            ),
      { discard: true }
    )
  })

  return { channel, subscribed, sid: () => sid, align, probe, refreshBooks }
}
