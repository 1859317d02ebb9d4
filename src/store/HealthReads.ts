import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Timestamp } from "../market/Timestamp.ts"

export interface InstancePart {
  readonly ok: boolean
  readonly detail: string
  readonly ageSeconds?: number | undefined
}

/** A program that runs, or ran lately. */
export interface InstanceRow {
  readonly instance: string
  readonly service: string
  readonly host: string
  readonly pid: number
  readonly startedAt: Timestamp
  readonly silentSeconds: number
  readonly ok: boolean
  readonly parts: Readonly<Record<string, InstancePart>>
}

/** The journal of a ws process: how far what it received is stored. */
export interface FeedRow {
  readonly journal: string
  readonly frames: number
  readonly lastReceivedAt: Timestamp | null
  readonly slots: number
}

export interface BudgetRow {
  readonly key: string
  readonly tokens: number
  readonly capacity: number
  readonly refillRate: number
}

export interface CursorRow {
  readonly key: string
  readonly value: string
  readonly ageSeconds: number
}

export interface HealthFacts {
  readonly instances: ReadonlyArray<InstanceRow>
  readonly feeds: ReadonlyArray<FeedRow>
  readonly budgets: ReadonlyArray<BudgetRow>
  readonly cursors: ReadonlyArray<CursorRow>
  readonly newestTickAt: Timestamp | null
  readonly newestTradeAt: Timestamp | null
  readonly newestLifecycleAt: Timestamp | null
  readonly openGaps: number
  readonly gapsLastDay: number
  readonly quarantinedLastDay: number
  readonly staleCards: number
  readonly databaseBytes: number
}

/** The instances of one service that run or ran lately, and how many of them are well. */
export interface ProgramRow {
  readonly service: string
  readonly running: number
  readonly well: number
}

/** A sign of life is due every five seconds. */
const silentAfter = "20 seconds"
const forgottenAfter = "10 minutes"
const countedUpTo = 100_000

/** The state of the recording as the database knows it. */
export class HealthReads extends Context.Service<
  HealthReads,
  {
    /** `exchangeNow`: the exchange's clock, which stamps gaps and frames. */
    readonly facts: (exchangeNow: Timestamp) => Effect.Effect<HealthFacts, SqlError>
    readonly budgets: Effect.Effect<ReadonlyArray<BudgetRow>, SqlError>
    readonly programs: Effect.Effect<ReadonlyArray<ProgramRow>, SqlError>
  }
>()("kalshi-ingestor/store/HealthReads") {
  static readonly layer = Layer.effect(
    HealthReads,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const databaseBytes = yield* sql<{
        readonly bytes: number
      }>`select pg_database_size(current_database())::float8 as bytes`.pipe(
        Effect.map((rows) => rows[0]!.bytes),
        Effect.cachedWithTTL("5 minutes")
      )
      const readBudgets = sql<BudgetRow>`
        select key, least(capacity, tokens + refill_rate * extract(epoch from clock_timestamp() - refilled_at))::float8 as tokens,
          capacity, refill_rate as "refillRate"
        from rate_limit_buckets order by key limit 50`
      const facts = Effect.fn("HealthReads.facts")(function* (exchangeNow: Timestamp) {
        const [instances, feeds, budgets, cursors, ages, bytes] = yield* Effect.all(
          [
            sql<InstanceRow>`
              select instance, service, host, pid, rfc3339(started_at) as "startedAt",
                extract(epoch from clock_timestamp() - seen_at)::float8 as "silentSeconds", ok, parts
              from service_instances where seen_at > clock_timestamp() - ${forgottenAfter}::interval
              order by service, started_at`,
            sql<FeedRow>`
              select p.journal, p.frames::float8 as frames, rfc3339(p.last_received_at) as "lastReceivedAt",
                count(f.slot)::int as slots
              from journal_positions p join slot_feeds f on f.journal = p.journal and f.shard = p.shard
              group by p.journal, p.frames, p.last_received_at order by p.journal limit 100`,
            readBudgets,
            sql<CursorRow>`
              select key, left(value, 200) as value, extract(epoch from clock_timestamp() - updated_at)::float8 as "ageSeconds"
              from ingest_state order by key limit 100`,
            sql<Omit<HealthFacts, "instances" | "feeds" | "budgets" | "cursors" | "databaseBytes">>`
              select
                (select rfc3339(max(t.received_at)) from active_markets a
                  join market_keys k on k.ticker = a.ticker join ticks_latest t on t.market_id = k.market_id) as "newestTickAt",
                (select rfc3339(max(l.at)) from (
                  select t.ts as at from active_markets a join market_keys k on k.ticker = a.ticker
                  cross join lateral (
                    select ts from trades where market_id = k.market_id and ts > ${exchangeNow}::timestamptz - interval '1 day'
                    order by ts desc limit 1) t
                  order by a.close_time limit 500) l) as "newestTradeAt",
                (select rfc3339(received_at) from lifecycle_events order by received_at desc limit 1) as "newestLifecycleAt",
                (select count(*) from capture_gaps where to_ts is null)::int as "openGaps",
                (select count(*) from capture_gaps g
                  where coverage_span(g.from_ts, coalesce(g.to_ts, 'infinity'))
                    && tstzrange(${exchangeNow}::timestamptz - interval '1 day', null))::int as "gapsLastDay",
                (select count(*) from (
                  select from quarantine where at > clock_timestamp() - interval '1 day' limit ${countedUpTo}) q)::int as "quarantinedLastDay",
                (select count(*) from (select from event_cards_stale limit ${countedUpTo}) s)::int as "staleCards"`,
            databaseBytes
          ],
          { concurrency: 6 }
        )
        return { ...ages[0]!, instances, feeds, budgets, cursors, databaseBytes: bytes }
      })
      const programs = sql<ProgramRow>`
        select service, count(*)::int as running,
          count(*) filter (where ok and seen_at > clock_timestamp() - ${silentAfter}::interval)::int as well
        from service_instances where seen_at > clock_timestamp() - ${forgottenAfter}::interval
        group by service order by service`.pipe(Effect.withSpan("HealthReads.programs"))
      return HealthReads.of({ facts, budgets: readBudgets, programs })
    })
  )
}
