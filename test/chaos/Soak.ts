import * as fs from "node:fs"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as DurationText from "../../src/local/DurationText.ts"
import * as Programs from "../support/Programs.ts"
import { flatness, type Sample } from "./Flatness.ts"
import { numberOption, runMain, textOption } from "./Options.ts"
import { ownDatabase } from "./Scenario.ts"
import * as Stage from "./Stage.ts"

const usage = "npm run soak -- [--for 30s|10m|1h] [--rate N] [--seed N] [--json]"

/** Memory that a process holds, megabytes. */
const resident = (pid: number): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024)

type Buckets = ReadonlyArray<readonly [seconds: number, count: number]>

/** The bound below which 99 of 100 observations between two scrapes fall, in milliseconds, linear within its bucket. */
const p99 = (before: Buckets, after: Buckets): number => {
  const grown = after.map(([bound, count], at) => [bound, count - (before[at]?.[1] ?? 0)] as const)
  const target = 0.99 * (grown.at(-1)?.[1] ?? 0)
  let [lower, below] = [0, 0]
  for (const [bound, count] of grown) {
    if (count >= target && Number.isFinite(bound))
      return Math.round((lower + ((bound - lower) * (target - below)) / Math.max(1, count - below)) * 1000)
    if (Number.isFinite(bound)) lower = bound
    below = count
  }
  return Math.round(lower * 1000)
}

const soak = Effect.fnUntraced(function* (seconds: number, args: ReadonlyArray<string>) {
  const play = {
    seed: yield* numberOption(args, "seed", 1),
    rate: yield* numberOption(args, "rate", 5_000),
    forSeconds: seconds
  }
  const home = yield* Programs.folder
  const database = yield* ownDatabase(home)
  const stage = yield* Stage.make(home, { play, database, exchangeArgs: ["--no-ledger"] })
  const ws = yield* stage.startWs()
  yield* stage.recording()
  const began = yield* Clock.currentTimeMillis
  const every = Math.max(1, Math.min(10, seconds / 30))
  const samples: Array<Sample> = []
  const table: Array<string> = ["seconds  ticks     ws MB  rest MB  lag p99 ms  backlog MB  connections"]
  let buckets = yield* ws.buckets("receive_to_commit_seconds")
  let ticks = 0
  while (true) {
    yield* Effect.sleep(Duration.seconds(every))
    const now = yield* ws.buckets("receive_to_commit_seconds")
    const at = ((yield* Clock.currentTimeMillis) - began) / 1000
    ticks = (yield* ws.metric("ticks_stored")) ?? ticks
    const backlogBytes = (yield* ws.metric("journal_backlog_bytes")) ?? 0
    const [connections] = yield* stage.query<{ n: number }>(
      "select count(*)::int as n from pg_stat_activity where application_name like 'kalshi-ingestor%'"
    )
    const sample = { seconds: at, rssMb: resident(ws.pid), lagP99Ms: p99(buckets, now), backlogBytes }
    samples.push(sample)
    buckets = now
    table.push(
      [
        Math.round(at).toString().padStart(7),
        ticks.toString().padEnd(8),
        sample.rssMb.toString().padStart(6),
        resident(stage.rest.pid).toString().padStart(8),
        sample.lagP99Ms.toString().padStart(11),
        (backlogBytes / 1048576).toFixed(1).padStart(11),
        (connections?.n ?? 0).toString().padStart(12)
      ].join("  ")
    )
    if (at >= seconds) break
  }
  yield* stage.settle
  const verdict = flatness(samples)
  for (const line of table) yield* Console.log(line)
  const result = { seconds, ticks, ...verdict, rate: play.rate }
  yield* Console.log(args.includes("--json") ? JSON.stringify(result) : JSON.stringify(result, null, 2))
  return verdict.flat
}, Effect.scoped)

export const main = (args: ReadonlyArray<string>): void => {
  const wanted = DurationText.parse(textOption(args, "for") ?? "10m")
  const program =
    wanted === undefined || Duration.toSeconds(wanted) < 1
      ? Console.error(`--for ${textOption(args, "for")} is no length of time; ${usage}`).pipe(Effect.as(false))
      : soak(Duration.toSeconds(wanted), args).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
  runMain(program)
}
