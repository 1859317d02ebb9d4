import * as fs from "node:fs"
import * as path from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as pg from "pg"
import { from as copyFrom } from "pg-copy-streams"
import * as Ports from "../../src/local/Ports.ts"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import * as Exchange from "../support/Exchange.ts"
import * as Programs from "../support/Programs.ts"

/*
 * Method. The programs of dist/, each a process of its own: a real PostgreSQL 18 (fsync on), the simulated exchange sending `rate`
 * ticker frames a second through a real socket, rest, and ws. After a warm-up, stored rows are counted for `seconds`, and received frames:
 * a rate is sustained when the two are equal. Then the exchange ends; `drainPerSecond` is how fast what waits in the journal is stored by
 * ws and the database alone (null when little waits). Then the table is emptied and recorded rows
 * are written back into it by one COPY, alone on the machine: a program that has the rows in memory, as we have them, formats them as text
 * and sends them through a socket (`copyRowsPerSecond`, which `ratio` compares with). `copyFromFileRowsPerSecond` is the server reading a file
 * that is already formatted: no program can be that fast. Everything shares this machine's cores.
 */

interface Options {
  readonly rate: number
  readonly seconds: number
  readonly json: boolean
  /** Where ws leaves a CPU profile when it ends. */
  readonly profile: string | undefined
}

const option = (args: ReadonlyArray<string>, name: string, fallback: number) => {
  const found = args.find((arg) => arg.startsWith(`--${name}=`))
  return found === undefined ? fallback : Number(found.slice(name.length + 3))
}

/** Seconds of CPU, user and system, that a process has used; and its resident memory. */
const usage = (pid: number) => {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  const resident = /VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0"
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, rssMb: Math.round(Number(resident) / 1024) }
}

const counter = (text: string, metric: string): number =>
  Number(new RegExp(`^kalshi_ingestor_${metric}(?:_total)? (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN)

/** The quantile of what a Prometheus histogram counted between two scrapes, linear within a bucket, in milliseconds. */
const quantile = (before: string, after: string, metric: string, q: number): number => {
  const buckets = (text: string) =>
    [...text.matchAll(new RegExp(`${metric}_bucket\\{le="([^"]+)"\\} (\\d+)`, "g"))].map(
      (match) => [match[1] === "+Inf" ? Number.POSITIVE_INFINITY : Number(match[1]), Number(match[2])] as const
    )
  const start = new Map(buckets(before))
  const counts = buckets(after).map(([bound, n]) => [bound, n - (start.get(bound) ?? 0)] as const)
  const target = q * (counts.at(-1)?.[1] ?? 0)
  let lower = 0
  let below = 0
  for (const [bound, n] of counts) {
    if (n >= target)
      return Math.round(
        (Number.isFinite(bound) ? lower + ((bound - lower) * (target - below)) / Math.max(1, n - below) : lower) * 1000
      )
    lower = bound
    below = n
  }
  return Math.round(lower * 1000)
}

const mostCopied = 500_000

/** Rows of the table as a program would have them: each value its text. */
const rowsOf = async (url: string, count: number): Promise<ReadonlyArray<ReadonlyArray<string | null>>> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const asText = { getTypeParser: () => (value: string) => value }
    const { rows } = await client.query<Array<string | null>>({
      text: `select * from ticks limit ${count}`,
      rowMode: "array",
      types: asText
    })
    return rows
  } finally {
    await client.end()
  }
}

const copyRows = async (url: string, rows: ReadonlyArray<ReadonlyArray<string | null>>): Promise<void> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const formatted = function* () {
      for (let at = 0; at < rows.length; at += 500)
        yield rows
          .slice(at, at + 500)
          .map((row) => `${row.map((value) => value ?? "\\N").join("\t")}\n`)
          .join("")
    }
    await pipeline(Readable.from(formatted()), client.query(copyFrom("copy ticks from stdin")))
  } finally {
    await client.end()
  }
}

const bench = Effect.fn("bench.ticks")(function* ({ json, profile, rate, seconds }: Options) {
  const home = yield* Programs.folder
  yield* Effect.gen(function* () {
    const { url } = yield* EmbeddedPostgres
    yield* Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const http = yield* HttpClient.HttpClient
      const exchange = yield* Exchange.start(path.join(home, "keys"), ["--speed=1", `--rate=${rate}`, "--no-ledger"])
      const healthPort = yield* Ports.free()
      const env = {
        DATABASE_URL: Redacted.value(url),
        DATA_DIR: home,
        ...exchange.settings,
        BACKFILL_SECONDS: "0",
        CLOSED_CLEANUP_SECONDS: "0"
      }
      yield* Programs.run("migrator", env)
      yield* Programs.running("rest", env)
      yield* Effect.sleep("5 seconds")
      const ws = yield* Programs.running(
        "ws",
        { ...env, SERVICE_HEALTH_PORT: String(healthPort) },
        [],
        profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]
      )
      yield* Effect.sleep("10 seconds")
      const scrape = Effect.flatMap(http.get(`http://127.0.0.1:${healthPort}/metrics`), ({ text }) => text)
      const stored = sql<{ n: number }>`select coalesce(sum(frames), 0)::float8 as n from journal_positions`.pipe(
        Effect.map((rows) => rows[0]!.n)
      )
      const at = { before: yield* Clock.currentTimeMillis, after: 0 }
      const rows = { before: yield* stored, after: 0 }
      const metrics = { before: yield* scrape, after: "" }
      const used = { before: usage(ws.pid), after: { cpuSeconds: 0, rssMb: 0 } }
      yield* Effect.sleep(`${seconds} seconds`)
      rows.after = yield* stored
      at.after = yield* Clock.currentTimeMillis
      metrics.after = yield* scrape
      used.after = usage(ws.pid)
      yield* exchange.end("SIGTERM")
      const drain = { rows: yield* stored, at: yield* Clock.currentTimeMillis }
      yield* Effect.sleep("6 seconds")
      const drained = (yield* stored) - drain.rows
      const drainPerSecond = Math.round((drained * 1000) / ((yield* Clock.currentTimeMillis) - drain.at))
      const received = counter(metrics.after, "frames_received") - counter(metrics.before, "frames_received")
      const waited = received - (rows.after - rows.before)
      yield* ws.end("SIGTERM")
      const measured = rows.after - rows.before
      const ticksPerSecond = Math.round((measured * 1000) / (at.after - at.before))

      yield* sql.unsafe("checkpoint")
      const [total] = yield* sql<{ n: number; bytes: number }>`
        select count(*)::float8 as n,
          (select sum(pg_total_relation_size(relid))::float8 from pg_partition_tree('ticks')) as bytes
        from ticks`
      const file = path.join(path.dirname(home), `${path.basename(home)}-rows.copy`)
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(file, { force: true })))
      yield* sql.unsafe(`copy (select * from ticks) to '${file}'`)
      const count = total?.n ?? 0
      const kept = yield* Effect.promise(() => rowsOf(Redacted.value(url), Math.min(count, mostCopied)))
      const emptied = sql.unsafe("truncate ticks").pipe(Effect.andThen(sql.unsafe("checkpoint")))
      const perSecond = Effect.fnUntraced(function* (rows: number, copy: Effect.Effect<unknown, unknown>) {
        yield* emptied
        const began = yield* Clock.currentTimeMillis
        yield* copy
        return Math.round((rows * 1000) / Math.max(1, (yield* Clock.currentTimeMillis) - began))
      })
      const copyFromFileRowsPerSecond = yield* perSecond(count, sql.unsafe(`copy ticks from '${file}'`))
      const copyRowsPerSecond = yield* perSecond(
        kept.length,
        Effect.promise(() => copyRows(Redacted.value(url), kept))
      )
      const result = {
        rate,
        seconds,
        ticksPerSecond,
        receivedPerSecond: Math.round((received * 1000) / (at.after - at.before)),
        drainPerSecond: waited > 8 * drainPerSecond ? drainPerSecond : null,
        copyRowsPerSecond,
        copyFromFileRowsPerSecond,
        ratio: Number((ticksPerSecond / copyRowsPerSecond).toFixed(2)),
        bytesPerTick: Math.round((total?.bytes ?? 0) / Math.max(1, count)),
        latencyMs: {
          p50: quantile(metrics.before, metrics.after, "receive_to_commit_seconds", 0.5),
          p99: quantile(metrics.before, metrics.after, "receive_to_commit_seconds", 0.99)
        },
        rssMb: used.after.rssMb,
        cpuSecondsPerMillion: Number(
          (((used.after.cpuSeconds - used.before.cpuSeconds) * 1e6) / Math.max(1, measured)).toFixed(1)
        )
      }
      yield* Console.log(json ? JSON.stringify(result) : JSON.stringify(result, null, 2))
    }).pipe(Effect.provide(PgClient.layer({ url, maxConnections: 3 })))
  }).pipe(Effect.provide(EmbeddedPostgres.layer({ dataDir: home })))
})

export const main = (args: ReadonlyArray<string>): void =>
  bench({
    rate: option(args, "rate", 60_000),
    seconds: option(args, "for", 60),
    json: args.includes("--json"),
    profile: args.find((arg) => arg.startsWith("--profile="))?.slice("--profile=".length)
  }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerNodeHttp), NodeRuntime.runMain)
