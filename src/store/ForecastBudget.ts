import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

export class BudgetUsedUp extends Schema.TaggedError<BudgetUsedUp>()("BudgetUsedUp", {}) {
  override get message(): string {
    return "the day's budget of model calls is used up"
  }
}

export interface DailyLimits {
  readonly calls: number
  readonly dollars: number | undefined
}

/** One call that may be sent. */
export interface Reservation {
  readonly day: string
  readonly mostDollars: number
}

/** Calls and dollars of a day, shared by every process on this database: what is let through never exceeds the limits. */
export class ForecastBudget extends Context.Service<
  ForecastBudget,
  {
    /** Before a call is sent. `mostDollars`: the most that it can cost, 0 when unknown. */
    reserve(limits: DailyLimits, mostDollars: number): Effect.Effect<Reservation, BudgetUsedUp | SqlError>
    /** After its answer: what it did cost. */
    settle(reservation: Reservation, dollars: number): Effect.Effect<void, SqlError>
    /** Whether a call that may cost `mostDollars` would be let through now. */
    hasRoom(limits: DailyLimits, mostDollars: number): Effect.Effect<boolean, SqlError>
  }
>()("kalshi-ingestor/store/ForecastBudget") {
  static readonly layer = Layer.effect(
    ForecastBudget,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const dollars = (limits: DailyLimits) => (limits.dollars === undefined ? null : String(limits.dollars))

      const reserve = Effect.fn("ForecastBudget.reserve")(function* (limits: DailyLimits, mostDollars: number) {
        const rows = yield* sql<{ day: string | null }>`
          select reserve_call(${limits.calls}::bigint, ${dollars(limits)}::numeric, ${exact(mostDollars)}::numeric)::text as day`
        const day = rows[0]!.day
        return day === null ? yield* new BudgetUsedUp() : { day, mostDollars }
      })
      const settle = Effect.fn("ForecastBudget.settle")(({ day, mostDollars }: Reservation, spent: number) =>
        Effect.asVoid(sql`
          update forecast_budget set cost_dollars = cost_dollars - ${exact(mostDollars)}::numeric + ${exact(spent)}::numeric
          where day = ${day}::date`)
      )
      const hasRoom = Effect.fn("ForecastBudget.hasRoom")((limits: DailyLimits, mostDollars: number) =>
        sql<{ room: boolean }>`
          select coalesce(
            (select
               calls < ${limits.calls}::bigint
               and (${dollars(limits)}::numeric is null or cost_dollars + ${exact(mostDollars)}::numeric <= ${dollars(limits)}::numeric)
             from forecast_budget where day = budget_day()),
            ${limits.calls}::bigint > 0) as room`.pipe(Effect.map((rows) => rows[0]!.room))
      )
      return ForecastBudget.of({ reserve, settle, hasRoom })
    })
  )
}

/** Dollars as decimal text, to a billionth. */
const exact = (value: number) => value.toFixed(9)
