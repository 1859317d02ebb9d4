import { fork } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { encode, type JournalEntry } from "../../src/ingest/JournalRecord.ts"
import { FrameSource } from "../../src/replay/FrameSource.ts"
import { layerJournal } from "../../src/replay/JournalFrames.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import { GapSpans } from "../../src/store/GapSpans.ts"
import * as Frames from "../ingest/Frames.ts"
import * as Programs from "../support/Programs.ts"

/*
 * Method. A journal of `messages` recorded frames (nine tickers to one trade, 200 markets, the sizes of real ones, about 420 bytes each)
 * is written in segments as `ws` writes them. Its checksum is that of every message (type and `msg` text, in order), read through the
 * same reader that the replay has. Then the programs of dist/: `replay.js --source journal --speed max` in one process, and one client
 * in another, which signs in, subscribes to ticker and trade with one command, and counts and sums what it reads with `ws`. The clock of
 * the rate runs from the client's first message to its last. The best of `rounds`, all of them are printed, and what one second of CPU of
 * either process does, which says what two idle cores would do; in every one of them the
 * order and the checksum must be those of the source. Everything shares this machine's cores.
 */

interface Options {
  readonly messages: number
  readonly rounds: number
  readonly json: boolean
  /** Where the server leaves a CPU profile when it ends. */
  readonly profile: string | undefined
}

const markets = 200
const perSegment = 150_000

const writeJournal = (directory: string, messages: number) => {
  fs.mkdirSync(directory, { recursive: true })
  fs.writeFileSync(path.join(directory, "id"), "bench\n")
  let segment = 1
  let entries: Array<JournalEntry> = [
    Frames.entry("opened", Frames.start, '{"connection":1}'),
    Frames.entry("frame", Frames.start, '{"type":"subscribed","id":1,"msg":{"channel":"ticker","sid":1}}'),
    Frames.entry("frame", Frames.start, '{"type":"subscribed","id":1,"msg":{"channel":"trade","sid":3}}')
  ]
  const flush = () => {
    const { buffer } = encode(entries, { segment, offset: 0 })
    fs.writeFileSync(path.join(directory, `${String(segment).padStart(12, "0")}.journal`), buffer)
    segment += 1
    entries = []
  }
  for (let n = 0; n < messages; n++) {
    const millis = Frames.start + n
    const market = `KXBTCD-26AUG2412-T${80_000 + (n % markets)}.99`
    const raw =
      n % 10 === 9
        ? `{"type":"trade","sid":3,"seq":${(n + 1) / 10},"msg":{"trade_id":"072206ce-5001-aeed-d03d-${String(n).padStart(12, "0")}","market_ticker":"${market}","yes_price_dollars":"0.4700","no_price_dollars":"0.5300","count_fp":"93.00","taker_side":"yes","taker_outcome_side":"yes","taker_book_side":"bid","is_block_trade":false,"ts":${Math.floor(millis / 1000)},"ts_ms":${millis}}}`
        : Frames.ticker(market, millis, { yes_bid_size_fp: `${n % 9973}.50` })
    entries.push(Frames.entry("frame", millis, raw))
    if (entries.length >= perSegment) flush()
  }
  flush()
}

const sourceOf = Effect.gen(function* () {
  const source = yield* FrameSource
  const sum = createHash("sha256")
  let messages = 0
  let bytes = 0
  yield* source.frames({ fromMillis: 0, toMillis: Number.MAX_SAFE_INTEGER }, undefined).pipe(
    Stream.runForEachArray((frames) =>
      Effect.sync(() => {
        for (const { msg, type } of frames) {
          sum.update(`${type}${msg}\n`)
          messages += 1
          bytes += msg.length
        }
      })
    )
  )
  return { checksum: sum.digest("hex"), messages, bytes }
})

interface Heard {
  readonly checksum: string
  readonly messages: number
  readonly sequenceErrors: number
  readonly seconds: number
  readonly cpuSeconds: number
}

/** Seconds of CPU, user and system, that a process has used. */
const cpuSecondsOf = (pid: number): number => {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(fields[11]) + Number(fields[12])) / 100
}

const client = (url: string, keys: string): Effect.Effect<Heard> =>
  Effect.callback<Heard>((resume) => {
    const child = fork(path.join(import.meta.dirname, "replay-client.mjs"), [url, keys], { stdio: "inherit" })
    child.once("message", (heard) => resume(Effect.succeed(heard as Heard)))
    child.once("exit", (code) => {
      if (code !== 0) resume(Effect.die(new Error(`the client ended with ${code}`)))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const bench = Effect.fn("bench.replay")(function* ({ json, messages, profile, rounds }: Options) {
  const home = yield* Programs.folder
  const journals = path.join(home, "journal")
  yield* Effect.sync(() => writeJournal(path.join(journals, "shard-0"), messages))
  const { url } = yield* EmbeddedPostgres
  const env = { DATABASE_URL: Redacted.value(url), DATA_DIR: home, JOURNAL_DIR: journals }
  yield* Programs.run("migrator", env)
  const source = yield* sourceOf.pipe(
    Effect.provide(
      layerJournal.pipe(
        Layer.provide([
          ConfigProvider.layer(ConfigProvider.fromUnknown(env)),
          ExchangeTime.layerReal,
          Layer.succeed(GapSpans, GapSpans.of({ within: () => Effect.succeed([]) }))
        ])
      )
    )
  )
  const all: Array<number> = []
  const cpu: Array<{ readonly server: number; readonly client: number }> = []
  for (let round = 0; round < rounds; round++) {
    const heard = yield* Effect.gen(function* () {
      const keys = path.join(home, "keys")
      const server = yield* Programs.running(
        "replay",
        env,
        ["--source=journal", "--speed=max", `--keys-dir=${keys}`],
        profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]
      )
      const announced = JSON.parse(yield* server.firstLine)
      const before = cpuSecondsOf(server.pid)
      const heard = yield* client(announced.ws, keys)
      const serverCpuSeconds = cpuSecondsOf(server.pid) - before
      yield* server.end("SIGTERM")
      return { ...heard, serverCpuSeconds }
    }).pipe(Effect.scoped)
    if (heard.checksum !== source.checksum || heard.messages !== source.messages || heard.sequenceErrors !== 0)
      return yield* Effect.die(new Error(`what was heard is not the source: ${JSON.stringify({ heard, source })}`))
    all.push(Math.round(heard.messages / heard.seconds))
    cpu.push({ server: heard.serverCpuSeconds, client: heard.cpuSeconds })
    if (!json) yield* Console.log(`round ${round + 1}: ${all.at(-1)} messages/s`)
  }
  const result = {
    bench: "replay",
    messages: source.messages,
    bytesPerMessage: Math.round(source.bytes / source.messages),
    messagesPerSecond: Math.max(...all),
    rounds: all,
    messagesPerServerCpuSecond: Math.round(source.messages / Math.min(...cpu.map(({ server }) => server))),
    messagesPerClientCpuSecond: Math.round(source.messages / Math.min(...cpu.map(({ client }) => client))),
    checksum: source.checksum,
    checksumsEqual: true,
    sequenceErrors: 0,
    target: 100_000
  }
  yield* Console.log(json ? JSON.stringify(result) : result)
})

const option = (args: ReadonlyArray<string>, name: string, fallback: number) => {
  const found = args.find((arg) => arg.startsWith(`--${name}=`))
  return found === undefined ? fallback : Number(found.slice(name.length + 3))
}

export const main = (args: ReadonlyArray<string>) =>
  NodeRuntime.runMain(
    Effect.gen(function* () {
      const home = yield* Programs.folder
      yield* bench({
        messages: option(args, "messages", 1_000_000),
        rounds: option(args, "rounds", 3),
        json: args.includes("--json"),
        profile: args.find((arg) => arg.startsWith("--profile="))?.slice("--profile=".length)
      }).pipe(Effect.provide(EmbeddedPostgres.layer({ dataDir: path.join(home, "database") })))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
