import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import * as Exchange from "../support/Exchange.ts"
import * as Programs from "../support/Programs.ts"

/*
 * Method. The programs of dist/: rest, which discovers, and `workers` worker processes with more to pull than the account allows, against
 * the simulated exchange at a Basic account's limits (200 tokens a second, 600 in store, 10 a call). What the exchange counted
 * in `seconds` is compared with what it would have let through; the tokens in store at the beginning are not counted as budget.
 */

interface Options {
  readonly workers: number
  readonly seconds: number
  readonly json: boolean
}

const tokensPerCall = 10
const tokensPerSecond = 200

const bench = Effect.fn("bench.queueRate")(function* ({ json, seconds, workers }: Options) {
  const home = yield* Programs.folder
  yield* Effect.gen(function* () {
    const { url } = yield* EmbeddedPostgres
    yield* Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const exchange = yield* Exchange.start(path.join(home, "keys"), ["--speed=1", "--no-ledger"])
      const env = {
        DATABASE_URL: Redacted.value(url),
        DATA_DIR: home,
        ...exchange.settings,
        LOG_LEVEL: "Warn"
      }
      yield* Programs.run("migrator", env)
      yield* Programs.running("rest", { ...env, WORK_QUEUE_ENABLE: "1" })
      yield* sql`select 1 from markets where close_time < clock_timestamp() or status = 'active' limit 1`.pipe(
        Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: (rows) => rows.length > 0 }),
        Effect.timeout("60 seconds")
      )
      yield* Effect.sleep("5 seconds")
      yield* sql`
        insert into work_queue (job_type, payload)
        select 'backfill_market', jsonb_build_object('tickers', jsonb_build_array(m.ticker), 'force_full', true)
        from (select ticker from markets where open_time < clock_timestamp() limit 300) m, generate_series(1, 20)`
      const all = yield* Effect.forEach(Array.from({ length: workers }), () => Programs.running("worker", env))
      const stats = exchange.json<{ readonly requests: number; readonly http429: number }>("stats")
      // What was in store at the beginning is used up by then.
      yield* Effect.sleep("10 seconds")
      const before = yield* stats
      const began = yield* Clock.currentTimeMillis
      yield* Effect.sleep(`${seconds} seconds`)
      const after = yield* stats
      const elapsed = ((yield* Clock.currentTimeMillis) - began) / 1000
      const shares = yield* sql<{ worker: string; jobs: number }>`
        select locked_by as worker, count(*)::int as jobs from queue_finished group by 1 order by 1`
      const failed = yield* sql<{ n: number }>`select count(*)::int as n from work_queue where status = 'failed'`
      const codes = yield* Effect.forEach(all, (worker) => worker.end("SIGTERM"), { concurrency: "unbounded" })
      const calls = after.requests - before.requests
      const result = {
        workers,
        seconds: Math.round(elapsed),
        calls,
        http429: after.http429,
        budgetUsed: Number(((calls * tokensPerCall) / (tokensPerSecond * elapsed)).toFixed(3)),
        jobsByWorker: shares.map(({ jobs }) => jobs),
        failed: failed[0]!.n,
        exitCodes: codes
      }
      yield* Console.log(json ? JSON.stringify(result) : JSON.stringify(result, null, 2))
    }).pipe(Effect.provide(PgClient.layer({ url, maxConnections: 3 })))
  }).pipe(Effect.provide(EmbeddedPostgres.layer({ dataDir: home })))
})

const option = (args: ReadonlyArray<string>, name: string, fallback: number) => {
  const found = args.find((arg) => arg.startsWith(`--${name}=`))
  return found === undefined ? fallback : Number(found.slice(name.length + 3))
}

export const main = (args: ReadonlyArray<string>): void =>
  bench({
    workers: option(args, "workers", 4),
    seconds: option(args, "for", 120),
    json: args.includes("--json")
  }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerNodeHttp), NodeRuntime.runMain)
