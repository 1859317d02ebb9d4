import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import * as Programs from "../support/Programs.ts"

/*
 * Method. A real PostgreSQL 18 with one day of ticks: 600 markets of 6 series, prices that walk in cents around a level, a
 * size of the book that changes with every tick (bid and ask in turn), a trade with every fifth, volume and open interest that grow, markets
 * in random order. `node dist/export.js` writes them as one
 * sorted Parquet file, first a tenth of them (of the same day, up to an instant), then all; then `node dist/archive.js run` archives the
 * day: it reads, writes and compares both sides. Each is a process of its own: `peakRssMb` is the most memory that the kernel saw it
 * hold, DuckDB's included, with ARCHIVE_MEMORY_MB=256. Constant memory is when the two exports need about the same. Everything shares this
 * machine's cores.
 */

const option = (args: ReadonlyArray<string>, name: string, fallback: number) => {
  const found = args.find((arg) => arg.startsWith(`--${name}=`))
  return found === undefined ? fallback : Number(found.slice(name.length + 3))
}

const root = path.resolve(import.meta.dirname, "../..")
const day = "2026-08-01"

/** Runs a program; its last line, seconds, and the most memory that it held. */
const measured = Effect.fnUntraced(function* (
  program: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>
) {
  const began = yield* Clock.currentTimeMillis
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [path.join(root, "dist", `${program}.js`), ...args], {
        cwd: root,
        env: { ...Programs.machine(), ENV_FILE: "/dev/null", LOG_LEVEL: "error", ...env },
        stdio: ["ignore", "pipe", "ignore"]
      })
    ),
    (started) => Effect.sync(() => started.kill("SIGKILL"))
  )
  let output = ""
  let peak = 0
  child.stdout.on("data", (chunk) => {
    output += chunk
  })
  const looked = Effect.ignore(
    Effect.try(() => {
      const held = /VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]
      peak = Math.max(peak, Number(held ?? 0))
    })
  )
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(looked, Effect.sleep("50 millis"))))
  const code = yield* Effect.callback<number | null>((resume) => {
    child.on("close", (ended) => resume(Effect.succeed(ended)))
  })
  if (code !== 0) return yield* Effect.die(new Error(`${program} ended with ${code}`))
  return {
    seconds: ((yield* Clock.currentTimeMillis) - began) / 1000,
    peakRssMb: Math.round(peak / 1024),
    said: JSON.parse(output.trim().split("\n").at(-1) ?? "") as Record<string, number>
  }
}, Effect.scoped)

const bench = Effect.fn("bench.export")(function* (rows: number, json: boolean) {
  const home = yield* Programs.folder
  yield* Effect.gen(function* () {
    const { url } = yield* EmbeddedPostgres
    const lake = path.join(home, "lake")
    const env = {
      DATABASE_URL: Redacted.value(url),
      DATA_DIR: home,
      ARCHIVE_DIR: lake,
      ARCHIVE_MEMORY_MB: "256",
      ARCHIVE_TABLES: "ticks"
    }
    yield* Programs.run("migrator", env)
    yield* Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`insert into market_keys (ticker) select 'KXS' || n % 6 || '-26AUG0117-T' || 60000 + 250 * n from generate_series(0, 599) n`
      yield* sql`select ensure_tick_partition(${day}::date)`
      // From 1 to some 3,000 whole contracts, small ones more often.
      yield* sql`
        create function size(m int, n int) returns numeric language sql immutable
        return round(exp((hashint8(m * 1000003::bigint + n) & 65535) / 65536.0 * 8)::numeric)`
      const chunk = 1_000_000
      for (let from = 0; from < rows; from += chunk)
        yield* sql`
          insert into ticks (
            ts, received_ms, market_id, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, yes_ask_size, last_trade_size,
            volume, open_interest, dollar_volume, dollar_open_interest)
          select ${`${day}T00:00:00Z`}::timestamptz + floor(n * 86400000.0 / ${rows}) * interval '1 millisecond', 20 + floor(random() * 60), m,
            (level + trade % 3) / 100.0, (level - 1) / 100.0, (level + 1 + quote % 2) / 100.0,
            size(m, quote), size(m + 700, (n + 600) / 1200), size(m + 1400, trade),
            round(trade * 37.21, 2), round(trade * 11.13, 2), floor(trade * 17.9), floor(trade * 5.3)
          from (
            select n, m, (10 + floor(40 + 38 * sin(n / 900000.0 + m)))::int as level, n / 1200 as quote, n / 3000 as trade
            from (select n, floor(random() * 600)::int + 1 as m from generate_series(${from}::int, ${Math.min(rows, from + chunk) - 1}::int) n) s
          ) t`
      yield* sql.unsafe("vacuum analyze ticks")
    }).pipe(Effect.provide(PgClient.layer({ url, maxConnections: 2 })))

    const file = path.join(home, "ticks.parquet")
    const exporting = (to: string) => measured("export", ["--from", day, "--to", to, "--out", file, "--json"], env)
    const tenth = yield* exporting(`${day}T02:24:00Z`)
    const all = yield* exporting("2026-08-02")
    const archive = yield* measured("archive", ["run", "--json"], env)
    const result = {
      rows: all.said["rows"],
      exportRowsPerSecond: Math.round(all.said["rows"]! / all.seconds),
      bytesPerRow: Number((all.said["bytes"]! / all.said["rows"]!).toFixed(2)),
      peakRssMb: { tenth: tenth.peakRssMb, all: all.peakRssMb, archive: archive.peakRssMb },
      archiveRowsPerSecond: Math.round(archive.said["rows"]! / archive.seconds),
      archiveBytesPerRow: Number((archive.said["bytes"]! / archive.said["rows"]!).toFixed(2))
    }
    yield* Console.log(json ? JSON.stringify(result) : JSON.stringify(result, null, 2))
  }).pipe(Effect.provide(EmbeddedPostgres.layer({ dataDir: home, settings: { max_wal_size: "4GB" } })))
})

export const main = (args: ReadonlyArray<string>): void =>
  bench(option(args, "rows", 10_000_000), args.includes("--json")).pipe(Effect.scoped, NodeRuntime.runMain)
