import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { coverageStates } from "../market/Coverage.ts"
import { Decimal } from "../market/Decimal.ts"
import { Timestamp } from "../market/Timestamp.ts"
import { BadRange, PersonOnly, Refused, SignedIn, Unavailable } from "./ApiErrors.ts"
import { described, limit, Money, Text, Ticker, Time } from "./ApiFields.ts"

export const Overview = Schema.Struct({
  events: Schema.Int,
  markets: Schema.Int,
  active: Schema.Int.annotate(described("markets that are streamed now: open or paused")),
  activeEvents: Schema.Int,
  scheduledEvents: Schema.Int,
  closedEvents: Schema.Int,
  completeEvents: Schema.Int.annotate(described("closed events of which nothing can still come")),
  closed: Schema.Int.annotate(described("markets of closed events, settled ones included")),
  settled: Schema.Int,
  ticksStored: Schema.Int.annotate(described("ticks stored within `ticksWindowSeconds`")),
  ticksWindowSeconds: Schema.Int.annotate(described("60, or less when this portal has been listening for less")),
  newestTickAt: Time.annotate(described("when the newest stored tick was received")),
  newestTickAgeSeconds: Schema.NullOr(Schema.Finite),
  openGaps: Schema.Int.annotate(described("spans of missing capture that have not ended")),
  programs: Schema.Array(
    Schema.Struct({
      service: Schema.String,
      running: Schema.Int.annotate(described("instances that gave a sign of life within ten minutes")),
      well: Schema.Int.annotate(described("those of them that are not silent and say that all is well"))
    })
  ),
  queue: Schema.Struct({
    waiting: Schema.Int,
    running: Schema.Int,
    failed: Schema.Int,
    workers: Schema.Int
  }).annotate(described("jobs, at most five seconds old")),
  simulated: Schema.Boolean.annotate(described("true when the exchange is a simulated one")),
  exchangeTime: Timestamp.annotate(described("the exchange's clock at the moment of this answer")),
  exchangeSpeed: Schema.Finite.annotate(described("seconds of exchange time per second; 1 for the real exchange"))
})
export type Overview = typeof Overview.Type

const Part = Schema.Struct({
  ok: Schema.Boolean,
  detail: Schema.String,
  ageSeconds: Schema.optionalKey(Schema.UndefinedOr(Schema.Finite))
})

export const HealthPage = Schema.Struct({
  exchangeTime: Timestamp,
  instances: Schema.Array(
    Schema.Struct({
      instance: Schema.String,
      service: Schema.String,
      host: Schema.String,
      pid: Schema.Int,
      startedAt: Timestamp,
      silentSeconds: Schema.Finite.annotate(described("since its last sign of life; one is due every five")),
      ok: Schema.Boolean,
      parts: Schema.Record(Schema.String, Part)
    })
  ),
  feeds: Schema.Array(
    Schema.Struct({
      journal: Schema.String,
      frames: Schema.Finite,
      lastReceivedAt: Time,
      lagSeconds: Schema.NullOr(Schema.Finite).annotate(described("how old the newest stored sign of life is")),
      slots: Schema.Int
    })
  ),
  budgets: Schema.Array(
    Schema.Struct({ key: Schema.String, tokens: Schema.Finite, capacity: Schema.Finite, refillRate: Schema.Finite })
  ),
  cursors: Schema.Array(Schema.Struct({ key: Schema.String, value: Schema.String, ageSeconds: Schema.Finite })),
  newestTickAt: Time,
  newestTradeAt: Time,
  newestLifecycleAt: Time,
  openGaps: Schema.Int,
  gapsLastDay: Schema.Int,
  quarantinedLastDay: Schema.Int,
  staleCards: Schema.Int.annotate(described("changes that lists do not show yet")),
  databaseBytes: Schema.Finite
})
export type HealthPage = typeof HealthPage.Type

const Day = Schema.String.check(
  Schema.isPattern(/^\d{4}-\d{2}-\d{2}$/),
  Schema.makeFilter((text) => !Number.isNaN(Date.parse(text)), { description: "a day" })
).annotate(described("UTC day, yyyy-mm-dd"))

export const CoverageDay = Schema.Struct({
  day: Schema.String,
  seriesTicker: Schema.String,
  state: Schema.Literals(coverageStates),
  hours: Schema.Int.annotate(described("hours of markets")),
  markets: Schema.Int
})
export type CoverageDay = typeof CoverageDay.Type

export const CoverageCell = Schema.Struct({
  ticker: Schema.String,
  eventTicker: Schema.String,
  name: Schema.String,
  hour: Schema.Int.annotate(described("0 to 23, UTC")),
  state: Schema.Literals(coverageStates),
  openSeconds: Schema.Finite,
  liveSeconds: Schema.Finite
})
export type CoverageCell = typeof CoverageCell.Type

export const Basket = Schema.Struct({
  eventTicker: Schema.String,
  title: Text,
  strikePeriod: Text,
  closeTime: Time,
  side: Schema.Literals(["buy", "sell"]).annotate(
    described("buy: yes of every outcome at its ask; sell: yes of every outcome at its bid")
  ),
  sum: Decimal,
  legs: Schema.Int,
  missing: Schema.Int.annotate(described("outcomes without a price on this side")),
  size: Decimal.annotate(described("whole baskets that the sizes at these prices allow")),
  edge: Decimal.annotate(described("per basket, before fees, dollars")),
  fee: Money.annotate(described("on all of them; null when the fee formula of the series is not known")),
  profit: Money.annotate(described("on all of them, fees taken off; null like the fee")),
  quality: Schema.Literals(["confirmed", "indicative"]).annotate(
    described("confirmed: every outcome is quoted, fresh, with a size and a known fee")
  ),
  why: Schema.Array(Schema.String).annotate(described("what keeps it from being confirmed")),
  oldestQuoteSeconds: Schema.NullOr(Schema.Finite)
})
export type Basket = typeof Basket.Type

export const ModelGap = Schema.Struct({
  ticker: Schema.String,
  name: Schema.String,
  eventTicker: Schema.String,
  title: Text,
  strikePeriod: Text,
  closeTime: Time,
  forecast: Decimal,
  confidence: Money,
  impliedMid: Decimal,
  gap: Decimal.annotate(described("forecast less midpoint")),
  yesBid: Money,
  yesAsk: Money,
  forecastAgeSeconds: Schema.Finite,
  quoteAgeSeconds: Schema.NullOr(Schema.Finite)
})
export type ModelGap = typeof ModelGap.Type

const share = Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const minutes = Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0, maximum: 100_000 }))

const QueueJob = Schema.Struct({
  id: Schema.String,
  jobType: Schema.String,
  status: Schema.String,
  priority: Schema.Int,
  attempts: Schema.Int,
  maxAttempts: Schema.Int,
  about: Schema.String,
  createdAt: Timestamp,
  finishedAt: Time,
  lockedBy: Text,
  lastError: Text
})

export const QueuePage = Schema.Struct({
  counts: Schema.Array(
    Schema.Struct({
      jobType: Schema.String,
      ready: Schema.Int,
      delayed: Schema.Int,
      running: Schema.Int,
      doneLastHour: Schema.Int,
      failed: Schema.Int,
      oldestReadySeconds: Schema.NullOr(Schema.Finite)
    })
  ),
  running: Schema.Array(QueueJob),
  waiting: Schema.Array(QueueJob),
  failed: Schema.Array(QueueJob),
  workers: Schema.Array(
    Schema.Struct({
      instance: Schema.String,
      host: Schema.String,
      pid: Schema.Int,
      jobTypes: Schema.Array(Schema.String),
      silentSeconds: Schema.Finite
    })
  )
})
export type QueuePage = typeof QueuePage.Type

export class System extends HttpApiGroup.make("system")
  .add(
    HttpApiEndpoint.get("overview", "/api/overview", { success: Overview, error: Unavailable }).annotate(
      OpenApi.Summary,
      "Counts, rates and ages of the recording"
    ),
    HttpApiEndpoint.get("health", "/api/health", { success: HealthPage, error: Unavailable }).annotate(
      OpenApi.Summary,
      "Every running program, feed and budget"
    ),
    HttpApiEndpoint.get("coverageDays", "/api/coverage", {
      query: { from: Day, to: Day },
      success: Schema.Array(CoverageDay),
      error: [BadRange, Unavailable]
    }).annotate(OpenApi.Summary, "Coverage by series and UTC day; at most 92 days"),
    HttpApiEndpoint.get("coverageHours", "/api/coverage/hours", {
      query: { series: Ticker, day: Day },
      success: Schema.Array(CoverageCell),
      error: Unavailable
    }).annotate(OpenApi.Summary, "Coverage of each market and hour of one series and UTC day; at most 20,000 cells"),
    HttpApiEndpoint.get("baskets", "/api/opportunities/baskets", {
      query: {
        quality: Schema.optionalKey(Schema.Literals(["confirmed", "all"])),
        side: Schema.optionalKey(Schema.Literals(["buy", "sell"])),
        maxTickAgeMinutes: Schema.optionalKey(minutes),
        limit: limit(500)
      },
      success: Schema.Array(Basket),
      error: Unavailable
    }).annotate(OpenApi.Summary, "Baskets of all outcomes of an event of which at most one comes true"),
    HttpApiEndpoint.get("modelGaps", "/api/opportunities/model", {
      query: {
        minGap: Schema.optionalKey(share),
        minConfidence: Schema.optionalKey(share),
        maxAgeMinutes: Schema.optionalKey(minutes),
        maxTickAgeMinutes: Schema.optionalKey(minutes),
        limit: limit(500)
      },
      success: Schema.Array(ModelGap),
      error: Unavailable
    }).annotate(OpenApi.Summary, "Markets that models and the market see differently"),
    HttpApiEndpoint.get("queue", "/api/queue", { success: QueuePage, error: Unavailable }).annotate(
      OpenApi.Summary,
      "The work queue: counts, workers, jobs"
    )
  )
  .middleware(SignedIn) {}

export class QueueActions extends HttpApiGroup.make("queueActions")
  .add(
    HttpApiEndpoint.post("retry", "/api/queue/retry", {
      payload: Schema.Struct({
        ids: Schema.Array(Schema.String.check(Schema.isPattern(/^\d{1,18}$/))).check(Schema.isMaxLength(500))
      }),
      success: Schema.Struct({ retried: Schema.Int }),
      error: [Refused, Unavailable]
    }).annotate(OpenApi.Summary, "Gives failed jobs another set of attempts")
  )
  .middleware(PersonOnly) {}
