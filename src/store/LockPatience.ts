import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { sqlState } from "./SqlState.ts"

/** An attempt that did not get a lock in time. Everything it did is undone. */
export class Blocked extends Schema.TaggedError<Blocked>()("Blocked", { what: Schema.String, holder: Schema.String }) {
  override get message(): string {
    return `it did not get its locks in time, again and again${this.holder}`
  }

  /** Nothing when the error is another one. */
  static readonly from = (error: SqlError, what: string): Blocked | undefined =>
    sqlState(error) === "55P03" ? new Blocked({ what, holder: "" }) : undefined
}

export interface Patience {
  readonly lockSeconds: number
  readonly patienceSeconds: number
}

/** The transaction that has been open for longest beside our own, for a human to look at. */
const longest = (sql: SqlClient.SqlClient) =>
  sql<{ readonly pid: number; readonly name: string; readonly seconds: number }>`
    select pid, application_name as name, extract(epoch from clock_timestamp() - xact_start)::float8 as seconds
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
    order by xact_start limit 1`.pipe(
    Effect.map(([found]) =>
      found === undefined
        ? ""
        : `; the oldest open transaction is that of ${found.name || "a session without a name"} (process ${found.pid}), ${found.seconds.toFixed(1)} s`
    ),
    Effect.orElseSucceed(() => "")
  )

const backoff = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("30 seconds")]).pipe(Schedule.jittered)

/** Repeats an attempt that was `Blocked`, less and less often, and says so. */
export const patiently = <A, E, R>(
  sql: SqlClient.SqlClient,
  { patienceSeconds }: Patience,
  attempt: Effect.Effect<A, E | Blocked, R>
): Effect.Effect<A, E | Blocked, R> =>
  attempt.pipe(
    Effect.catchIf(
      (error): error is Extract<E | Blocked, Blocked> => error instanceof Blocked,
      (blocked) => Effect.flatMap(longest(sql), (holder) => Effect.fail(new Blocked({ what: blocked.what, holder })))
    ),
    Effect.retry(
      backoff.pipe(
        Schedule.setInputType<E | Blocked>(),
        Schedule.while(({ elapsed, input }) => input instanceof Blocked && elapsed < patienceSeconds * 1000),
        Schedule.tap(({ duration, input }) =>
          input instanceof Blocked
            ? Effect.logWarning(`gave way to what uses the database, trying again${input.holder}`, {
                what: input.what,
                inSeconds: Math.round(Duration.toSeconds(duration) * 10) / 10
              })
            : Effect.void
        )
      )
    )
  )
