import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { fromMillis, toMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { CoverageReads } from "../store/CoverageReads.ts"
import { HealthReads } from "../store/HealthReads.ts"
import { QueueJobs } from "../store/QueueJobs.ts"
import { QueueReads } from "../store/QueueReads.ts"
import { BadRange, Refused } from "./ApiErrors.ts"
import { orRefused, orUnavailable } from "./Guarded.ts"
import { Opportunities } from "./Opportunities.ts"
import { PortalApi } from "./PortalApi.ts"
import { PortalLive } from "./PortalLive.ts"

const daysAtMost = 92

export const SystemHandlers = HttpApiBuilder.group(
  PortalApi,
  "system",
  Effect.fnUntraced(function* (handlers) {
    const live = yield* PortalLive
    const healthReads = yield* HealthReads
    const coverage = yield* CoverageReads
    const opportunities = yield* Opportunities
    const queueReads = yield* QueueReads
    const time = yield* ExchangeTime

    const health = yield* Effect.gen(function* () {
      const now = yield* time.now
      const facts = yield* healthReads.facts(fromMillis(now))
      return {
        ...facts,
        exchangeTime: fromMillis(now),
        feeds: facts.feeds.map((feed) => ({
          ...feed,
          lagSeconds:
            feed.lastReceivedAt === null
              ? null
              : Math.max(0, time.toWallSpan(now - toMillis(feed.lastReceivedAt)) / 1000)
        }))
      }
    }).pipe(Effect.cachedWithTTL("1 second"))
    const queue = yield* Effect.cachedWithTTL(queueReads.facts, "1 second")
    const cells = yield* Cache.make({
      capacity: 50,
      timeToLive: "10 seconds",
      lookup: (key: string) => {
        const [series, day] = JSON.parse(key) as [string, string]
        return coverage.hours(series, day)
      }
    })
    const days = yield* Cache.make({
      capacity: 50,
      timeToLive: "5 seconds",
      lookup: (key: string) => {
        const [from, to] = JSON.parse(key) as [string, string]
        return coverage.days(from, to)
      }
    })

    return handlers.handleAll({
      overview: () => orUnavailable(live.overview),
      health: () => orUnavailable(health),
      coverageDays: Effect.fnUntraced(function* ({ query }) {
        const span = (Date.parse(query.to) - Date.parse(query.from)) / 86_400_000
        if (!(span >= 0 && span < daysAtMost))
          return yield* new BadRange({ problem: `\`to\` is not within ${daysAtMost} days from \`from\`` })
        return yield* orUnavailable(Cache.get(days, JSON.stringify([query.from, query.to])))
      }),
      coverageHours: ({ query }) => orUnavailable(Cache.get(cells, JSON.stringify([query.series, query.day]))),
      baskets: ({ query }) => orUnavailable(opportunities.baskets(query)),
      modelGaps: ({ query }) => orUnavailable(opportunities.modelGaps(query)),
      queue: () => orUnavailable(queue)
    })
  })
)

export const QueueActionHandlers = HttpApiBuilder.group(
  PortalApi,
  "queueActions",
  Effect.fnUntraced(function* (handlers) {
    const jobs = yield* QueueJobs
    return handlers.handleAll({
      retry: Effect.fnUntraced(function* ({ payload }) {
        const { length: retried } = yield* orRefused(orUnavailable(jobs.revive(payload.ids)))
        if (retried === 0 && payload.ids.length > 0)
          return yield* new Refused({ problem: "none of these jobs can be tried again" })
        return { retried }
      })
    })
  })
)
