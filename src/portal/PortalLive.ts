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
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import { EventCards } from "../store/EventCards.ts"
import { HealthReads } from "../store/HealthReads.ts"
import { type QueueFacts, QueueReads } from "../store/QueueReads.ts"
import { LiveEvent } from "./LiveApi.ts"
import type { MarketQuote } from "./MarketListsApi.ts"
import { PortalQueries } from "./PortalQueries.ts"
import type { Overview } from "./SystemApi.ts"
import { TickRate } from "./TickRate.ts"

/** What a page watches: the lists, the queue, one event, one market. */
export type Topic = "index" | "queue" | "health" | `event ${string}` | `market ${string}`

interface Channel {
  readonly hub: PubSub.PubSub<Uint8Array>
  watching: number
  lastId: number
}

const updateEvery = "500 millis"
const heartbeatEvery = "5 seconds"
const messagesKept = 64

const encodeEvent = Schema.encodeSync(Schema.fromJsonString(LiveEvent))
const decodeNotice = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ ticks: Schema.Int })))
const reconnect = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

const grouped = <A>(items: ReadonlyArray<A>, keyOf: (item: A) => string) => {
  const groups = new Map<string, Array<A>>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

const jobsOf = ({ counts, workers }: QueueFacts): Overview["queue"] => {
  const sum = (which: (count: QueueFacts["counts"][number]) => number) =>
    counts.reduce((total, count) => total + which(count), 0)
  return {
    waiting: sum(({ delayed, ready }) => ready + delayed),
    running: sum(({ running }) => running),
    failed: sum(({ failed }) => failed),
    workers: workers.length
  }
}

/**
 * What changes while people watch. One set of database listeners and one reader serve every page: each change is read and encoded once
 * for each topic, and the same bytes go to all who watch it. Nothing is read while nobody watches.
 */
export class PortalLive extends Context.Service<
  PortalLive,
  {
    /** Server-sent events, encoded. A reader too slow to keep up misses messages and sees it in their `id`s. */
    readonly events: (topic: Topic) => Stream.Stream<Uint8Array>
    /** At most a second old. */
    readonly overview: Effect.Effect<Overview, SqlError>
  }
>()("kalshi-ingestor/portal/PortalLive") {
  static readonly layerNoDeps = Layer.effect(
    PortalLive,
    Effect.gen(function* () {
      const pg = yield* PgClient.PgClient
      const queries = yield* PortalQueries
      const cards = yield* EventCards
      const exchange = yield* ExchangeTime
      const healthReads = yield* HealthReads
      const health = yield* Health
      const queueReads = yield* QueueReads
      const loops = yield* Loops
      const wake = yield* Queue.sliding<void>(1)
      const rate = new TickRate(yield* Clock.currentTimeMillis)
      const encoder = new TextEncoder()
      const channels = new Map<string, Channel>()
      const notices = ["ticks_stored", "cards_changed", "work_queue_update"] as const
      const listening = new Set<string>()
      const isListening = () => listening.size === notices.length
      const pending = { ticks: false, cards: false, queue: false }
      let cardsUpToMillis = 0
      let sent = new Map<string, string>()

      const publish = (topic: string, event: LiveEvent) =>
        Effect.suspend(() => {
          const channel = channels.get(topic)
          if (channel === undefined) return Effect.void
          channel.lastId += 1
          return PubSub.publish(channel.hub, encoder.encode(`id: ${channel.lastId}\ndata: ${encodeEvent(event)}\n\n`))
        })
      const publishAll = (event: LiveEvent) =>
        Effect.forEach([...channels.keys()], (topic) => publish(topic, event), { discard: true })

      const queue = yield* Effect.map(queueReads.facts, jobsOf).pipe(Effect.cachedWithTTL("5 seconds"))
      const [overview, forget] = yield* Effect.gen(function* () {
        const [ages, counts, programs, jobs] = yield* Effect.all(
          [queries.ages, cards.counts, healthReads.programs, queue],
          {
            concurrency: 4
          }
        )
        const wall = yield* Clock.currentTimeMillis
        const exchangeNow = exchange.fromWall(wall)
        const sum = (which: (count: (typeof counts)[number]) => number) =>
          counts.reduce((total, count) => total + which(count), 0)
        return {
          ...ages,
          ...rate.at(wall),
          events: sum(({ events }) => events),
          markets: sum(({ markets }) => markets),
          settled: sum(({ settled }) => settled),
          closed: sum(({ markets, section }) => (section === "closed" ? markets : 0)),
          activeEvents: sum(({ events, section }) => (section === "active" ? events : 0)),
          scheduledEvents: sum(({ events, section }) => (section === "scheduled" ? events : 0)),
          closedEvents: sum(({ events, section }) => (section === "closed" ? events : 0)),
          completeEvents: sum(({ complete, events, section }) => (section === "closed" && complete ? events : 0)),
          newestTickAgeSeconds:
            ages.newestTickAt === null
              ? null
              : Math.max(0, exchange.toWallSpan(exchangeNow - toMillis(ages.newestTickAt)) / 1000),
          programs,
          queue: jobs,
          simulated: exchange.simulated,
          exchangeTime: fromMillis(exchangeNow),
          exchangeSpeed: 1 / exchange.toWallSpan(1)
        }
      }).pipe(Effect.cachedInvalidateWithTTL("1 second"))

      const publishQuotes = Effect.gen(function* () {
        const watched = (kind: string) =>
          [...channels.keys()].flatMap((topic) => (topic.startsWith(kind) ? [topic.slice(kind.length)] : []))
        const quotes = yield* queries.quotesOf(watched("event "), watched("market "))
        const changed = quotes.filter(({ quote }) => sent.get(quote.ticker) !== JSON.stringify(quote))
        sent = new Map(quotes.map(({ quote }) => [quote.ticker, JSON.stringify(quote)]))
        const tell = (topic: string, found: ReadonlyArray<{ readonly quote: MarketQuote }>) =>
          channels.has(topic)
            ? publish(topic, { _tag: "Quotes", quotes: found.map(({ quote }) => quote) })
            : Effect.void
        yield* Effect.forEach(
          grouped(changed, ({ eventTicker }) => `event ${eventTicker}`),
          ([topic, found]) => tell(topic, found),
          { discard: true }
        )
        yield* Effect.forEach(changed, (found) => tell(`market ${found.quote.ticker}`, [found]), { discard: true })
      })

      const publishCards = Effect.gen(function* () {
        const { newestMillis, quotes } = yield* cards.quotesSince(cardsUpToMillis + 0.001)
        const first = cardsUpToMillis === 0
        cardsUpToMillis = Math.max(cardsUpToMillis, newestMillis)
        if (quotes.length > 0 && !first) yield* publish("index", { _tag: "CardQuotes", quotes })
      })

      const update = Effect.gen(function* () {
        const now = { ...pending }
        Object.assign(pending, { ticks: false, cards: false, queue: false })
        if (channels.size === 0) return
        const watched = [...channels.keys()]
        if (now.cards) yield* publishAll({ _tag: "CardsChanged" })
        if (now.queue) yield* publish("queue", { _tag: "QueueChanged" })
        if (now.ticks && watched.some((topic) => topic.includes(" "))) yield* publishQuotes
        if (channels.has("index")) yield* publishCards
        yield* forget
        if (channels.has("index") || channels.has("health")) {
          const event: LiveEvent = { _tag: "Overview", overview: yield* overview }
          yield* publish("index", event)
          yield* publish("health", event)
        }
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
          pending.ticks = true
        })
      )
      yield* loops.run(
        "portal-cards",
        follow("cards_changed", () => {
          pending.cards = true
        })
      )
      yield* loops.run(
        "portal-queue",
        follow("work_queue_update", () => {
          pending.queue = true
        })
      )
      yield* loops.run(
        "portal-updates",
        Queue.take(wake).pipe(Effect.andThen(update), Effect.andThen(Effect.sleep(updateEvery)), Effect.forever)
      )
      yield* loops.run(
        "portal-heartbeat",
        Effect.suspend(() => publishAll({ _tag: "Heartbeat", listening: isListening() })).pipe(
          Effect.andThen(Queue.offer(wake, undefined)),
          Effect.andThen(Effect.sleep(heartbeatEvery)),
          Effect.forever
        )
      )

      yield* health.register(
        "live",
        Effect.sync(() => {
          const watching = [...channels.values()].reduce((sum, channel) => sum + channel.watching, 0)
          return {
            ok: isListening(),
            detail: `${isListening() ? "hears what is stored" : "does not hear the database"}, ${watching} watching`
          }
        })
      )

      const channelOf = Effect.fnUntraced(function* (topic: Topic) {
        const known = channels.get(topic)
        if (known !== undefined) return known
        const made: Channel = { hub: yield* PubSub.sliding<Uint8Array>(messagesKept), watching: 0, lastId: 0 }
        channels.set(topic, made)
        return made
      })
      const leave = (topic: Topic, channel: Channel) =>
        Effect.suspend(() => {
          channel.watching -= 1
          if (channel.watching > 0 || channels.get(topic) !== channel) return Effect.void
          channels.delete(topic)
          return PubSub.shutdown(channel.hub)
        })

      const events = (topic: Topic) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const channel = yield* Effect.acquireRelease(
              Effect.tap(channelOf(topic), (found) =>
                Effect.sync(() => {
                  found.watching += 1
                })
              ),
              (found) => leave(topic, found)
            )
            const subscription = yield* PubSub.subscribe(channel.hub)
            const hello = encoder.encode(
              `retry: 2000\nid: ${channel.lastId}\ndata: ${encodeEvent({ _tag: "Heartbeat", listening: isListening() })}\n\n`
            )
            return Stream.concat(Stream.succeed(hello), Stream.fromSubscription(subscription))
          })
        )

      return PortalLive.of({ events, overview })
    })
  )
}
