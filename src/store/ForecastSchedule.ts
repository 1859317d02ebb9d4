import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** Whose schedule: predictors of one agent share it. */
export interface Lane {
  readonly agent: string
  /** Seconds between forecasts by strike period; events of other periods are not forecast. */
  readonly intervals: ReadonlyMap<string, number>
}

/** One event that this predictor works on until the lease ends. Instants are epoch milliseconds of the exchange's clock. */
export interface Claim {
  readonly agent: string
  readonly eventTicker: string
  readonly fence: number
  readonly dueAt: number
  readonly intervalSeconds: number
  /** Failed runs since the last that did not fail. */
  readonly attempts: number
}

export interface ScheduleState {
  readonly eligible: number
  /** Eligible events whose deadline, one interval after they were due, has passed. */
  readonly late: number
}

/** Which events are due, and who works on them. `now` is the exchange's clock, epoch milliseconds; leases are the database's. */
export class ForecastSchedule extends Context.Service<
  ForecastSchedule,
  {
    claim(
      lane: Lane,
      holder: string,
      now: number,
      leaseSeconds: number,
      limit: number
    ): Effect.Effect<ReadonlyArray<Claim>, SqlError>
    /** False when the claim was lost meanwhile. Joins the caller's transaction. */
    finish(claim: Claim, nextDue: number, failed: boolean): Effect.Effect<boolean, SqlError>
    state(lane: Lane, now: number): Effect.Effect<ScheduleState, SqlError>
    /** Forgets events that trade no more. Gives how many. */
    forget(now: number): Effect.Effect<number, SqlError>
  }
>()("kalshi-ingestor/store/ForecastSchedule") {
  static readonly layer = Layer.effect(
    ForecastSchedule,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const instant = (millis: number) => sql`to_timestamp(${millis}::float8 / 1000)`
      const intervals = ({ intervals }: Lane) =>
        sql`${[...intervals.keys()]}::text[], ${[...intervals.values()]}::float8[]`

      const claim = Effect.fn("ForecastSchedule.claim")(
        (lane: Lane, holder: string, now: number, leaseSeconds: number, limit: number) =>
          sql<{ event: string; fence: bigint; due: number; seconds: number; attempts: number }>`
            select
              event_ticker as event, fence, (extract(epoch from due_at) * 1000)::float8 as due, interval_seconds as seconds, attempts
            from claim_forecasts(
              ${lane.agent}, ${holder}, ${intervals(lane)}, ${instant(now)}, ${leaseSeconds}::float8 * interval '1 second', ${limit}::int)`.pipe(
            Effect.map((rows) =>
              rows.map(
                ({ attempts, due, event, fence, seconds }): Claim => ({
                  agent: lane.agent,
                  eventTicker: event,
                  fence: Number(fence),
                  dueAt: due,
                  intervalSeconds: seconds,
                  attempts
                })
              )
            )
          )
      )
      const finish = Effect.fn("ForecastSchedule.finish")((held: Claim, nextDue: number, failed: boolean) =>
        sql<{ done: boolean }>`
          select finish_forecast(${held.agent}, ${held.eventTicker}, ${held.fence}, ${instant(nextDue)}, ${failed}) as done`.pipe(
          Effect.map((rows) => rows[0]!.done)
        )
      )
      const state = Effect.fn("ForecastSchedule.state")((lane: Lane, now: number) =>
        sql<{ eligible: number; late: number }>`
          select
            count(*)::int as eligible,
            (count(*) filter (
              where coalesce(s.due_at, e.since) + e.interval_seconds * interval '1 second' < ${instant(now)}))::int as late
          from forecast_eligible(${intervals(lane)}, ${instant(now)}) e
          left join forecast_schedule s on s.agent = ${lane.agent} and s.event_ticker = e.event_ticker`.pipe(
          Effect.map((rows) => rows[0]!)
        )
      )
      const forget = Effect.fn("ForecastSchedule.forget")((now: number) =>
        sql`
          delete from forecast_schedule s
          where (lease_until is null or lease_until < clock_timestamp() - interval '1 day')
            and not exists (
              select from markets m
              where m.event_ticker = s.event_ticker and m.status in ('initialized', 'active', 'inactive') and m.close_time > ${instant(now)})
          returning 1`.pipe(Effect.map((rows) => rows.length))
      )
      return ForecastSchedule.of({ claim, finish, state, forget })
    })
  )
}
