import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis, toMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Loops } from "../runtime/Loops.ts"
import { LiveEvent, type Overview } from "./PortalApi.ts"
import { PortalQueries } from "./PortalQueries.ts"
import { TickRate } from "./TickRate.ts"

const updateEvery = "500 millis"
const heartbeatEvery = "5 seconds"
const lateCommitMillis = 5_000
const messagesKept = 64

const encodeEvent = Schema.encodeSync(Schema.fromJsonString(LiveEvent))
const decodeNotice = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ ticks: Schema.Int })))
const reconnect = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

/**
 * What changes while people watch. One set of database listeners and one reader serve every page: each change is read and encoded once
 * and the same bytes go to all of them. Nothing is read while nobody watches.
 */
export class PortalLive extends Context.Service<
  PortalLive,
  {
    /** Server-sent events, encoded. A reader too slow to keep up misses messages and sees it in their `id`s. */
    readonly events: Stream.Stream<Uint8Array>
    /** At most a second old. */
    readonly overview: Effect.Effect<Overview, SqlError>
  }
>()("kalshi-ingestor/portal/PortalLive") {
  static readonly layerNoDeps = Layer.effect(
    PortalLive,
    Effect.gen(function* () {
      const pg = yield* PgClient.PgClient
      const queries = yield* PortalQueries
      const exchange = yield* ExchangeTime
      const loops = yield* Loops
      const hub = yield* Effect.acquireRelease(PubSub.sliding<Uint8Array>(messagesKept), PubSub.shutdown)
      const wake = yield* Queue.sliding<void>(1)
      const rate = new TickRate(yield* Clock.currentTimeMillis)
      const encoder = new TextEncoder()
      const listening = new Set<string>()
      const pending = { quotes: false, markets: false }
      let watching = 0
      let lastId = 0
      let readUpToMillis = 0
      let sent = new Map<string, string>()

      const publish = (event: LiveEvent) =>
        Effect.suspend(() => {
          lastId += 1
          return PubSub.publish(hub, encoder.encode(`id: ${lastId}\ndata: ${encodeEvent(event)}\n\n`))
        })

      const [overview, forget] = yield* Effect.gen(function* () {
        const counts = yield* queries.counts
        const wall = yield* Clock.currentTimeMillis
        const exchangeNow = exchange.fromWall(wall)
        return {
          ...counts,
          ...rate.at(wall),
          newestTickAgeSeconds:
            counts.newestTickAt === null
              ? null
              : Math.max(0, exchange.toWallSpan(exchangeNow - toMillis(counts.newestTickAt)) / 1000),
          simulated: exchange.simulated,
          exchangeTime: fromMillis(exchangeNow),
          exchangeSpeed: 1 / exchange.toWallSpan(1)
        }
      }).pipe(Effect.cachedInvalidateWithTTL("1 second"))

      const publishQuotes = Effect.gen(function* () {
        const { quotes, newestMillis } = yield* queries.quotesSince(
          readUpToMillis - lateCommitMillis / exchange.toWallSpan(1)
        )
        const changed = quotes.filter((quote) => sent.get(quote.ticker) !== JSON.stringify(quote))
        sent = new Map(quotes.map((quote) => [quote.ticker, JSON.stringify(quote)]))
        readUpToMillis = Math.max(readUpToMillis, newestMillis)
        if (changed.length > 0) yield* publish({ _tag: "Quotes", quotes: changed })
      })

      const update = Effect.gen(function* () {
        const { quotes, markets } = pending
        pending.quotes = false
        pending.markets = false
        if (watching === 0) return
        if (markets) yield* publish({ _tag: "MarketsChanged" })
        if (quotes) yield* publishQuotes
        yield* forget
        yield* publish({ _tag: "Overview", overview: yield* overview })
      }).pipe(
        Effect.catch((error) => Effect.logWarning("live update failed", { reason: error.reason._tag })),
        Effect.withSpan("PortalLive.update")
      )

      const follow = (channel: string, onNotice: (payload: string, wallMillis: number) => void) =>
        Effect.gen(function* () {
          const notices = yield* pg.listen(channel)
          listening.add(channel)
          while (true) {
            const notice = yield* Queue.take(notices)
            onNotice(notice.payload, yield* Clock.currentTimeMillis)
            yield* Queue.offer(wake, undefined)
          }
        }).pipe(
          Effect.scoped,
          Effect.ensuring(Effect.sync(() => listening.delete(channel))),
          Effect.tapError((error) => Effect.logWarning("listener lost", { channel, reason: error.reason._tag })),
          Effect.retry(reconnect)
        )

      yield* loops.run(
        "portal-ticks",
        follow("ticks_stored", (payload, wall) => {
          const notice = decodeNotice(payload)
          if (notice._tag === "Some") rate.add(wall, notice.value.ticks)
          pending.quotes = true
        })
      )
      yield* loops.run(
        "portal-markets",
        follow("markets_changed", () => {
          pending.markets = true
        })
      )
      yield* loops.run(
        "portal-updates",
        Queue.take(wake).pipe(Effect.andThen(update), Effect.andThen(Effect.sleep(updateEvery)), Effect.forever)
      )
      yield* loops.run(
        "portal-heartbeat",
        Effect.suspend(() =>
          watching === 0 ? Effect.void : publish({ _tag: "Heartbeat", listening: listening.size === 2 })
        ).pipe(
          Effect.andThen(Queue.offer(wake, undefined)),
          Effect.andThen(Effect.sleep(heartbeatEvery)),
          Effect.forever
        )
      )

      const events = Stream.unwrap(
        Effect.gen(function* () {
          yield* Effect.acquireRelease(
            Effect.sync(() => {
              watching += 1
            }),
            () =>
              Effect.sync(() => {
                watching -= 1
              })
          )
          const subscription = yield* PubSub.subscribe(hub)
          const hello = encoder.encode(
            `retry: 2000\nid: ${lastId}\ndata: ${encodeEvent({ _tag: "Heartbeat", listening: listening.size === 2 })}\n\n`
          )
          return Stream.concat(Stream.succeed(hello), Stream.fromSubscription(subscription))
        })
      )

      return PortalLive.of({ events, overview })
    })
  )
}
