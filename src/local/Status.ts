import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import { Record } from "./Record.ts"

/** Prints one line every three seconds about what is being recorded. */
export const print = Effect.gen(function* () {
  const record = yield* Record
  const sql = yield* SqlClient.SqlClient
  let before = { ticks: (yield* record.counts).ticks, at: yield* Clock.currentTimeMillis }
  const line = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const counts = yield* record.counts
    const positions = yield* sql<{ lag: number | null }>`
      select (extract(epoch from clock_timestamp() - max(updated_at)) * 1000)::float8 as lag from journal_positions`
    const rate = ((counts.ticks - before.ticks) * 1000) / Math.max(1, now - before.at)
    before = { ticks: counts.ticks, at: now }
    yield* Console.log(
      [
        `${counts.events} events`,
        `${counts.markets} markets (${counts.activeMarkets} active, ${counts.settledMarkets} settled)`,
        `${counts.ticks} ticks`,
        `${rate.toFixed(0)} ticks/s`,
        `newest stored ${Math.round(positions[0]?.lag ?? 0)} ms ago`,
        `${counts.gaps} gaps`
      ].join("  ")
    )
  })
  yield* line.pipe(Effect.repeat(Schedule.spaced("3 seconds")))
})

/** The final figures for a person. */
export const summary = (result: Readonly<{ [name: string]: unknown }>): string =>
  Object.entries(result)
    .map(([name, value]) => `${name.padEnd(18)}${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join("\n")
