import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import { numberOption, runMain } from "../chaos/Options.ts"

interface Latency {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const milli = (value: number) => Number(value.toFixed(2))

const latencyOf = (millis: ReadonlyArray<number>, totalMillis: number): Latency => {
  const sorted = [...millis].sort((a, b) => a - b)
  const at = (share: number) => milli(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)
  return { perSecond: Math.round((millis.length / totalMillis) * 1000), p50Ms: at(0.5), p99Ms: at(0.99) }
}

const repeated = <E, R>(seconds: number, work: Effect.Effect<unknown, E, R>) =>
  Effect.gen(function* () {
    const millis: Array<number> = []
    const began = performance.now()
    while (performance.now() - began < seconds * 1000) {
      const start = performance.now()
      yield* work
      millis.push(performance.now() - start)
    }
    return latencyOf(millis, performance.now() - began)
  })

/** What the journal does at about 5,000 frames a second: 100 KB appended, then fdatasync. */
const journal = (folder: string, seconds: number) =>
  Effect.gen(function* () {
    const frames = randomBytes(100_000)
    const handle = yield* Effect.acquireRelease(
      Effect.promise(() => fs.promises.open(path.join(folder, "journal"), "w")),
      (open) => Effect.promise(() => open.close())
    )
    return yield* repeated(
      seconds,
      Effect.promise(async () => {
        await handle.write(frames)
        await handle.datasync()
      })
    )
  }).pipe(Effect.scoped)

const ways = {
  safe: {},
  "synchronous_commit=off": { synchronous_commit: "off" },
  "fsync=off": { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }
}

/** What the writer does: a transaction of 500 narrow rows, again and again. */
const postgres = (folder: string, seconds: number, settings: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const { url } = yield* EmbeddedPostgres
    const sql = yield* PgClient.makeClient({ url })
    yield* sql`create table if not exists written (at timestamptz, market int, price numeric, volume numeric)`
    return yield* repeated(
      seconds,
      sql`insert into written select now(), n, n * 0.01, n from generate_series(1, 500) n`
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.merge(
        Reactivity.layer,
        Layer.fresh(EmbeddedPostgres.layer({ dataDir: path.join(folder, "postgres"), settings }))
      )
    )
  )

const measure = Effect.fnUntraced(function* (parent: string, seconds: number) {
  const folder = fs.mkdtempSync(path.join(parent, "kalshi-storage-"))
  fs.chmodSync(folder, 0o755)
  yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true })))
  const journalled = yield* journal(folder, seconds)
  const commits: Record<string, Latency> = {}
  for (const [name, settings] of Object.entries(ways)) commits[name] = yield* postgres(folder, seconds, settings)
  return { folder: parent, journal: journalled, commits }
}, Effect.scoped)

const usage = "npm run bench -- storage FOLDER… [--for SECONDS] [--json]: name folders on the disks to compare"

export const main = (args: ReadonlyArray<string>): void =>
  runMain(
    Effect.gen(function* () {
      const seconds = yield* numberOption(args, "for", 5)
      const forAt = args.indexOf("--for")
      const folders = args.filter((arg, n) => !arg.startsWith("--") && !(forAt >= 0 && n === forAt + 1))
      const missing = folders.find((folder) => !fs.existsSync(folder))
      if (folders.length === 0 || missing !== undefined) {
        yield* Console.error(missing === undefined ? usage : `${missing} does not exist; ${usage}`)
        return false
      }
      const measured = yield* Effect.forEach(folders, (folder) => measure(folder, seconds))
      if (!args.includes("--json"))
        for (const { commits, folder, journal: j } of measured) {
          yield* Console.log(`${folder}: journal ${j.perSecond}/s, p50 ${j.p50Ms} ms, p99 ${j.p99Ms} ms`)
          for (const [name, c] of Object.entries(commits))
            yield* Console.log(`  commits, ${name}: ${c.perSecond}/s, p50 ${c.p50Ms} ms, p99 ${c.p99Ms} ms`)
        }
      else yield* Console.log(JSON.stringify({ seconds, folders: measured }))
      return true
    })
  )
