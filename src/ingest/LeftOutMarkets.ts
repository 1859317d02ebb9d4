import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { CaptureLedger } from "../store/CaptureLedger.ts"
import { Journal } from "./Journal.ts"
import { ShardShare } from "./ShardShare.ts"

const leftOutMarkets = (channel: string) =>
  Metric.gauge("subscription_left_out", {
    description: "Active markets not subscribed: more than MAX_ACTIVE_TICKERS, or refused",
    attributes: { channel }
  })

/** Keeps count of the markets that should be recorded and are not, and tells the ledger when they change. */
export const make = Effect.gen(function* () {
  const journal = yield* Journal
  const ledger = yield* CaptureLedger
  const share = yield* ShardShare
  const time = yield* ExchangeTime
  const stored = new Map<string, ReadonlyArray<string>>()
  const of = (channel: string) => stored.get(channel) ?? []

  const note = Effect.fnUntraced(function* (
    channel: string,
    tickers: ReadonlyArray<string>,
    slots: ReadonlyArray<number>
  ) {
    yield* Metric.update(leftOutMarkets(channel), tickers.length)
    if (of(channel).join(" ") === tickers.join(" ")) return
    if (tickers.length > 0)
      yield* Effect.logWarning("markets left out: more than MAX_ACTIVE_TICKERS or refused by the feed", {
        channel,
        leftOut: tickers.length
      })
    yield* ledger
      .leftOut(
        { shard: share.shard, slots, journal: journal.id },
        channel,
        tickers,
        "more than MAX_ACTIVE_TICKERS, or refused by the feed",
        yield* time.now
      )
      .pipe(
        Effect.andThen(Effect.sync(() => stored.set(channel, tickers))),
        Effect.catch((error) =>
          Effect.logWarning("left-out markets are not in the ledger yet", { reason: error.message })
        )
      )
  })
  return { note, of }
})
