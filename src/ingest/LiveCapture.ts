import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import { inMaintenance } from "../kalshi/ExchangeMaintenance.ts"
import { KalshiSocket, type Session } from "../kalshi/KalshiSocket.ts"
import { KalshiSocketError } from "../kalshi/KalshiSocketError.ts"
import { reconnectBackoff, supervise } from "../kalshi/Supervise.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health, thresholds as Thresholds } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { type ActiveMarket, ActiveMarkets } from "../store/ActiveMarkets.ts"
import type { GapCause } from "../store/CaptureLedger.ts"
import { AwaitedSnapshots } from "./AwaitedSnapshots.ts"
import { CaptureProgress } from "./CaptureProgress.ts"
import { FeedControl } from "./FeedControl.ts"
import { feedReport } from "./FeedHealth.ts"
import { FeedWatchdog } from "./FeedWatchdog.ts"
import { record } from "./FrameRecording.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { entryNow, Journal } from "./Journal.ts"
import { encodeMark, type JournalMark } from "./JournalMark.ts"
import type { JournalKind } from "./JournalRecord.ts"
import * as LeftOutMarkets from "./LeftOutMarkets.ts"
import { type MarketChannel, makeMarketChannel, marketChannels } from "./MarketChannel.ts"
import { MarketsChanged } from "./MarketsChanged.ts"
import { ShardShare } from "./ShardShare.ts"

const sessions = Metric.counter("socket_sessions", { description: "Connections to the feed", incremental: true })
const dataAge = Metric.gauge("feed_data_age_seconds", {
  description: "Age of the newest market data heard; a quiet market lets it grow, and so does a dead link"
})
const linkAge = Metric.gauge("feed_link_age_seconds", {
  description: "Seconds since the feed's last frame or ping: what tells a dead link from a quiet market"
})
const subscribedMarkets = (channel: string) =>
  Metric.gauge("subscribed_markets", { description: "Markets subscribed", attributes: { channel } })
/** Changes of active_markets within this time are followed together. */
const settle = "50 millis"

/** A feed that is asked for data and sends none within this time is dead. */
const proofWithin = "10 seconds"

const lifecycle = "market_lifecycle_v2"

/** Somebody asks for the subscriptions to be gone through, on a new connection or on this one. */
interface Asked {
  readonly reconnect: boolean
  readonly done: Deferred.Deferred<void>
}

/**
 * Records the live feed: every frame goes to the journal as it arrives, and the subscriptions follow active_markets. A
 * session that ends is followed by another; each end and each complete subscription is written down in the journal.
 */
export const LiveCapture = Layer.effect(
  FeedControl,
  Effect.gen(function* () {
    const loops = yield* Loops
    const health = yield* Health
    const journal = yield* Journal
    const socket = yield* KalshiSocket
    const active = yield* ActiveMarkets
    const progress = yield* CaptureProgress
    const changed = yield* MarketsChanged
    const share = yield* ShardShare
    const time = yield* ExchangeTime
    const config = yield* Setting.read(IngestConfig.capture)
    const bookSeries = config.bookSeries === undefined ? undefined : new Set(config.bookSeries)
    const link = {
      connectedBefore: false,
      open: false,
      connection: 0,
      lastFrameAt: yield* Clock.currentTimeMillis,
      lastDataAt: yield* Clock.currentTimeMillis,
      /** Our clock at the last ping of the newest connection. */
      lastPing: Effect.succeed(0),
      /** The feed was silent when the last connection ended: only data shows that it is not any more. */
      doubted: false,
      markets: [] as ReadonlyArray<ActiveMarket>,
      /** The slots that the journal says are recorded. */
      slots: [] as ReadonlyArray<number>,
      channels: [] as ReadonlyArray<MarketChannel>,
      sessions: 0
    }
    const leftOutMarkets = yield* LeftOutMarkets.make
    const asked = yield* Queue.unbounded<Asked>()
    /** Those who wait until everything is subscribed on the next connection. */
    const onNext: Array<Asked> = []

    const watchdog = new FeedWatchdog(config.silenceSeconds * 1000, link.lastDataAt)
    const proven = yield* Queue.sliding<void>(1)

    const mark = (kind: JournalKind, about: JournalMark) =>
      Effect.flatMap(entryNow(kind, encodeMark(about)), (entry) => journal.append([entry]))

    const readMarkets = (slots: ReadonlyArray<number>) =>
      active.of({ key: share.key, slotCount: share.slotCount, slots }).pipe(
        Effect.tap((markets) =>
          Effect.sync(() => {
            link.markets = markets
          })
        ),
        Effect.catch((error) =>
          Effect.as(
            Effect.logWarning("database does not answer, subscriptions stay as they are", {
              reason: error.reason._tag
            }),
            link.markets
          )
        )
      )

    const follow = Effect.fnUntraced(function* (
      session: Session,
      channels: ReadonlyArray<MarketChannel>,
      missing: Queue.Queue<number>
    ) {
      let isAnnounced = false
      let lifecycleSid: number | undefined

      const alignLifecycle = Effect.fnUntraced(function* (slots: ReadonlyArray<number>) {
        const leads = config.channels.includes(lifecycle) && slots.includes(0)
        if (leads && lifecycleSid === undefined) {
          const [subscription] = yield* session.subscribe({ channels: [lifecycle] })
          lifecycleSid = subscription?.sid
        } else if (!leads && lifecycleSid !== undefined) {
          yield* session.unsubscribe([lifecycleSid])
          lifecycleSid = undefined
        }
      })

      const align = Effect.fnUntraced(function* (again: boolean) {
        const slots = yield* share.wanted
        yield* alignLifecycle(slots)
        const markets = yield* readMarkets(slots)
        for (const channel of channels) {
          const wanted =
            channel.channel === "orderbook_delta" && bookSeries !== undefined
              ? markets.filter(({ seriesTicker }) => seriesTicker !== undefined && bookSeries.has(seriesTicker))
              : markets
          const leftOut = yield* channel.align(
            wanted.map(({ ticker }) => ticker),
            again
          )
          yield* Metric.update(subscribedMarkets(channel.channel), channel.subscribed.size)
          yield* leftOutMarkets.note(channel.channel, leftOut, link.slots)
        }
        watchdog.subscribed(
          channels.reduce((sum, { subscribed }) => sum + subscribed.size, 0),
          yield* Clock.currentTimeMillis
        )
        return slots
      })

      const alignAndAnnounce = Effect.fnUntraced(function* (again: boolean) {
        const sinceMillis = yield* Clock.currentTimeMillis
        const slots = yield* align(again)
        const given = link.slots.filter((slot) => !slots.includes(slot))
        if (given.length > 0) {
          yield* mark("handed", { slots: given, sinceMillis })
          yield* Queue.offer(givenUp, { slots: given, after: yield* journal.end })
        }
        const isSilent = link.doubted && channels.some(({ subscribed }) => subscribed.size > 0)
        if (isSilent) isAnnounced = false
        else if (!isAnnounced || slots.some((slot) => !link.slots.includes(slot))) {
          yield* mark("live", { slots: [...slots], detail: `${channels[0]?.subscribed.size ?? 0} markets` })
          isAnnounced = true
        }
        link.slots = slots
      })

      yield* alignAndAnnounce(true)
      yield* Effect.forEach(onNext.splice(0), ({ done }) => Deferred.succeed(done, undefined), { discard: true })
      yield* Effect.logInfo("recording the live feed", {
        slots: link.slots.length,
        markets: channels[0]?.subscribed.size ?? 0
      })
      const books = channels.find(({ channel }) => channel === "orderbook_delta")
      const wake = Effect.raceAllFirst([
        changed.next.pipe(Effect.andThen(Effect.sleep(settle)), Effect.as("changed" as const)),
        share.changed.pipe(Effect.as("changed" as const)),
        Queue.take(proven).pipe(Effect.as("changed" as const)),
        Effect.as(Effect.sleep(`${config.refreshSeconds} seconds`), "refresh" as const),
        Queue.take(missing),
        Queue.take(asked)
      ])
      while (true) {
        const why = yield* wake
        if (typeof why === "object") {
          if (why.reconnect) {
            onNext.push(why)
            return yield* new KalshiSocketError({ reason: { _tag: "Asked" } })
          }
          yield* alignAndAnnounce(true)
          yield* Deferred.succeed(why.done, undefined)
          continue
        }
        if (books !== undefined && why === books.sid()) {
          yield* Effect.logWarning("frames of order books are missing, asking for the books anew")
          yield* books.refreshBooks
        }
        yield* alignAndAnnounce(why === "refresh")
      }
    })

    const refreshBooks = (channels: ReadonlyArray<MarketChannel>) =>
      Effect.forEach(
        channels,
        ({ channel, refreshBooks }) => (channel === "orderbook_delta" ? refreshBooks : Effect.void),
        {
          discard: true
        }
      ).pipe(Effect.delay(`${config.bookSnapshotSeconds} seconds`), Effect.forever)

    /** Cuts a link that is alive and says nothing. What speaks when asked, and not by itself, has become quiet. */
    const watch = Effect.fnUntraced(function* (channels: ReadonlyArray<MarketChannel>) {
      const suspected = Effect.gen(function* () {
        if (inMaintenance(yield* time.now) || !watchdog.isSuspect(yield* Clock.currentTimeMillis)) return
        const { lastDataAt } = link
        yield* Effect.logWarning("no data though much was due, asking for some")
        yield* channels[0]?.probe ?? Effect.void
        yield* Effect.sleep(proofWithin)
        const now = yield* Clock.currentTimeMillis
        if (watchdog.isSuspect(now))
          return yield* new KalshiSocketError({
            reason: { _tag: "NoData", seconds: Math.round((now - lastDataAt) / 1000) }
          })
        watchdog.forget(now)
      })
      return yield* suspected.pipe(Effect.delay("5 seconds"), Effect.forever)
    })

    const firstRefusal = (error: KalshiSocketError) => !link.connectedBefore && error.reason._tag === "Unauthorized"

    const session = Effect.gen(function* () {
      const live = yield* socket.connect
      link.connectedBefore = true
      link.open = true
      link.sessions += 1
      link.lastPing = live.lastPing
      yield* Metric.update(sessions, 1)
      link.connection = Math.max(link.connection + 1, yield* Clock.currentTimeMillis)
      yield* mark("opened", { connection: link.connection })
      const keepAlive = live.lastPing.pipe(
        Effect.flatMap((receivedMillis) =>
          receivedMillis > link.lastFrameAt
            ? Effect.flatMap(entryNow("alive", ""), (entry) => journal.append([{ ...entry, receivedMillis }]))
            : Effect.void
        ),
        Effect.repeat(Schedule.spaced("10 seconds")),
        Effect.andThen(Effect.never)
      )
      const awaited = new AwaitedSnapshots()
      const missing = yield* Queue.sliding<number>(16)
      watchdog.connected(yield* Clock.currentTimeMillis)
      const channels = marketChannels
        .filter((channel) => config.channels.includes(channel))
        .map((channel) =>
          makeMarketChannel(live, {
            channel,
            limit: config.maxTickers,
            batchSize: config.batchSize,
            expect: (tickers, nowMillis) => {
              if (channel === "ticker") awaited.expect(tickers, nowMillis)
            }
          })
        )
      link.channels = channels
      return yield* Effect.raceAllFirst([
        record({ journal, heard: link, watchdog, proven }, live, awaited, missing),
        follow(live, channels, missing),
        config.silenceSeconds > 0 ? watch(channels) : Effect.never,
        refreshBooks(channels),
        keepAlive
      ])
    }).pipe(
      Effect.scoped,
      Effect.ensuring(
        Effect.sync(() => {
          link.open = false
          link.channels = []
        })
      ),
      Effect.tapError((error) =>
        error._tag === "KalshiSocketError" && !firstRefusal(error)
          ? Effect.andThen(
              Effect.logWarning("the feed ended, connecting again", { reason: error.message }),
              link.connectedBefore
                ? Effect.flatMap(time.now, (now) => {
                    const about = { cause: causeOf(error, now), detail: error.message }
                    if (error.reason._tag !== "NoData") return mark("closed", about)
                    link.doubted = true
                    return mark("closed", { ...about, sinceMillis: link.lastDataAt })
                  })
                : Effect.void
            )
          : Effect.void
      )
    )

    const recording = supervise(
      session.pipe(
        Effect.catchTag("KalshiSocketError", (error) =>
          firstRefusal(error)
            ? Effect.die(
                new SettingError({
                  setting: "KALSHI_API_KEY_ID",
                  problem: "the feed refuses this key (401)",
                  fix: "check that the id belongs to the key of KALSHI_PRIVATE_KEY_PEM_PATH, that both are of this environment, and that this machine's clock is right"
                })
              )
            : Effect.fail(error)
        ),
        Effect.catchTag("JournalError", (error) => Effect.die(error))
      ),
      { backoff: reconnectBackoff, healthyAfter: "30 seconds" }
    )

    // A slot goes back only when the gap that its leaving opens is stored: whoever takes it closes that gap.
    const givenUp = yield* Queue.unbounded<{
      readonly slots: ReadonlyArray<number>
      readonly after: Effect.Success<typeof journal.end>
    }>()
    const giveBack = Queue.take(givenUp).pipe(
      Effect.tap(({ after }) => progress.until(after)),
      Effect.flatMap(({ slots }) => share.release(slots)),
      Effect.forever
    )

    const { staleSeconds = 60 } = yield* Setting.read({ staleSeconds: Thresholds.ws })
    yield* health.register(
      "feed",
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const aliveAt = Math.max(link.lastFrameAt, yield* link.lastPing)
        const silentSeconds = (now - aliveAt) / 1000
        const ageSeconds = (now - link.lastDataAt) / 1000
        yield* Metric.update(dataAge, ageSeconds)
        yield* Metric.update(linkAge, silentSeconds)
        const suspect = link.doubted || watchdog.isSuspect(now)
        return feedReport({ open: link.open, silentSeconds, ageSeconds, suspect }, staleSeconds)
      })
    )
    yield* Effect.addFinalizer(() =>
      mark("stopping", { detail: "stopped on request" }).pipe(Effect.timeoutOption("2 seconds"), Effect.ignore)
    )
    yield* mark("started", { detail: "the process was not running" })
    yield* loops.run("live-capture", Effect.annotateLogs(recording, { part: "ws" }))
    yield* loops.run("shard-release", giveBack)

    return FeedControl.of({
      view: Effect.sync(() => ({
        connected: link.open,
        sessions: link.sessions,
        lastFrameMillis: link.lastFrameAt,
        slots: link.slots,
        channels: link.channels.map(({ channel, sid, subscribed }) => ({
          channel,
          sid: sid(),
          markets: [...subscribed],
          leftOut: leftOutMarkets.of(channel)
        }))
      })),
      align: Effect.fnUntraced(function* (reconnect) {
        const done = yield* Deferred.make<void>()
        yield* Queue.offer(asked, { reconnect, done })
        yield* Deferred.await(done)
      })
    })
  })
)

const causeOf = ({ reason }: KalshiSocketError, exchangeMillis: number): GapCause => {
  if (reason._tag === "NoPing" || reason._tag === "NoData") return "silence"
  if (inMaintenance(exchangeMillis)) return "exchange_maintenance"
  return reason._tag === "SubscriptionEnded" && reason.code === 25 ? "overflow" : "disconnect"
}
