import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as ConnectionFile from "../../src/local/ConnectionFile.ts"
import * as Verdict from "../../src/local/Verdict.ts"
import * as Nodes from "./Nodes.ts"
import { at, read, repository, user } from "./Place.ts"
import { keep, LabFailed, must, processesOf, run, waitFor } from "./Shell.ts"
import * as Slurm from "./Slurm.ts"
import { commandsOf, type Step } from "./Walk.ts"

export interface Result {
  readonly sifMb: number
  /** Null when the image was not built. */
  readonly buildSeconds: number | null
  readonly ticks: number
  readonly handoverGapSeconds: number
  /** Jobs on the same data: on the same node, and on another one. */
  readonly secondRefused: boolean
  /** Both builds have the same files; null when they were not made. */
  readonly reproducible: boolean | null
  /** Of the node with the database: until the job, requeued on the other one, recorded again. */
  readonly nodeLossGapSeconds: number
  readonly leftovers: number
  /** Not stored, and in no gap of the ledger. */
  readonly lost: number
  /** Not stored, in a gap. */
  readonly inGaps: number
  readonly duplicated: number
}

const pgdata = path.join(at.data, "kalshi")

const environment = {
  ...Slurm.environment,
  PATH: `${at.bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
  HOME: `/home/${user}`,
  SCRATCH: at.data,
  npm_config_cafile: "/etc/ssl/certs/ca-certificates.crt"
}
const asUser = { user, cwd: at.home, env: environment }

const say = (text: string) => Console.error(`lab: ${text}`)

/** A block of docs/cluster.md, word for word. */
const walk = (step: Step, env: Readonly<Record<string, string>> = {}) =>
  Effect.andThen(say(step), must(step, `set -eu\n${commandsOf(step)}`, { ...asUser, env: { ...environment, ...env } }))

const query = (text: string) =>
  Effect.gen(function* () {
    const connection = ConnectionFile.read(pgdata)
    if (connection === undefined) return yield* new LabFailed({ step: "the database", said: "is not announced" })
    const url = new URL(Redacted.value(yield* Effect.fromResult(ConnectionFile.urlHere(connection))))
    if (connection.host === Nodes.other) url.hostname = Nodes.addressOf(Nodes.other)
    const sql = yield* PgClient.makeClient({ url: Redacted.make(url.href) })
    return yield* sql.unsafe<Record<string, unknown>>(text)
  }).pipe(Effect.scoped, Effect.provide(Reactivity.layer))

const numberOf = (text: string) => Effect.map(query(text), (rows) => Number(rows[0]?.["n"] ?? 0))
const ticks = numberOf("select count(*)::int as n from ticks")
const candles = numberOf("select count(*)::int as n from market_candles")
const connected = (program: string) =>
  numberOf(`select count(*)::int as n from pg_stat_activity where application_name = 'kalshi-ingestor ${program}'`)

const more = (step: string, question: typeof ticks, than: number) => waitFor(step, 90, question, (n) => n > than)

const submitted = (out: string) => /\d+/.exec(out)?.[0] ?? ""

const gone = (job: string) =>
  waitFor(
    `the end of job ${job}`,
    120,
    Slurm.stateOf(job),
    ({ state }) => !["PENDING", "RUNNING", "COMPLETING"].includes(state)
  )

const logOf = (job: string, name = "kalshi_hd") => read(path.join(at.home, `${name}.${job}.err`))

const exchange = Effect.gen(function* () {
  yield* keep(
    `node ${repository}/dist/exchange.js --host=${Nodes.addressOf(Nodes.here)} --port=0 --speed=1 --rate=50 --keys-dir=${at.keys}`,
    { env: environment },
    at.log("exchange")
  )
  const line = yield* waitFor(
    "the exchange",
    30,
    Effect.sync(() => read(at.log("exchange")).split("\n")[0] ?? ""),
    (text) => text.startsWith("{")
  )
  yield* must("the keys", `chown -R ${user}:${user} ${at.keys}`)
  return JSON.parse(line) as {
    readonly rest: string
    readonly ws: string
    readonly control: string
    readonly clock: string
  }
})

const settingsOf = (announced: Effect.Success<typeof exchange>) =>
  Object.entries({
    KALSHI_API_KEY_ID: read(path.join(at.keys, "kalshi-key-id")).trim(),
    KALSHI_PRIVATE_KEY_PEM_PATH: path.join(at.keys, "kalshi-key.pem"),
    KALSHI_REST_URL: announced.rest,
    KALSHI_WS_URL: announced.ws,
    EXCHANGE_CLOCK: announced.clock,
    DISCOVERY_SECONDS: "5",
    BACKFILL_SECONDS: "10",
    BACKFILL_FIRST_DAYS: "0.1",
    WORK_QUEUE_ENABLE: "1",
    POSTGRES_LISTEN: "*",
    LEASE_BEAT_SECONDS: "2",
    LEASE_FENCE_SECONDS: "10",
    LEASE_TAKE_SECONDS: "20",
    HANDOVER_SBATCH_ARGS: `--partition=${Slurm.otherPartition}`,
    PREDICTION_HANDLER: "baseline:market_mid"
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join("")

/** The hole that the hand-over left in the recording, as the ledger has it. */
const holeAfter = (seconds: number) =>
  query(`
  select max(extract(epoch from to_ts - from_ts))::float8 as seconds, max(extract(epoch from to_ts))::float8 as until, count(*)::int as n
  from capture_gaps where feed = 'all' and cause in ('shutdown', 'process_down') and to_ts is not null and from_ts >= to_timestamp(${seconds})`)
const hole = holeAfter(0)

const sif = path.join(at.home, "kalshi_ingestor.sif")
const megabytes = () => Math.round(fs.statSync(sif).size / 1e6)

/** An image that an earlier run built, to try the rest of the lab quickly. */
const given = Effect.fnUntraced(function* (image: string) {
  yield* must("the image", `install -o ${user} -g ${user} -m 755 '${image}' ${sif}`)
  yield* say(`NOT built: ${image} is used; build-fakeroot and build are not tried`)
  return { sifMb: megabytes(), buildSeconds: null, reproducible: null }
})

/** One sum of all that the build made: names, bytes and modes. */
const contents = Effect.map(
  must(
    "the image's files",
    `apptainer exec ${sif} bash -euc 'cd /app; find . -printf "%P %m %l\\n" | sort | sha256sum; find . -type f -print0 | sort -z | xargs -0 cat | sha256sum'`,
    asUser
  ),
  ({ out }) => out
)

const build = Effect.gen(function* () {
  const began = yield* Clock.currentTimeMillis
  yield* walk("build-fakeroot")
  const withFakeroot = yield* contents
  fs.rmSync(sif)
  const between = yield* Clock.currentTimeMillis
  yield* walk("build")
  const ended = yield* Clock.currentTimeMillis
  yield* say(
    `built with --fakeroot in ${Math.round((between - began) / 1000)} s, without in ${Math.round((ended - between) / 1000)} s`
  )
  return {
    sifMb: megabytes(),
    buildSeconds: Math.round((ended - between) / 1000),
    reproducible: withFakeroot === (yield* contents)
  }
})

/** What a stop leaves behind: processes of the user, folders and instances of its run. */
const remains = Effect.map(
  run(`apptainer instance list | tail -n +2; find /tmp -maxdepth 1 -user ${user} -name 'kalshi_hd.*'`, asUser),
  ({ out }) => [...processesOf(user), ...out.split("\n").filter((line) => line.trim() !== "")]
)

const nothingLeft = (when: string) =>
  Effect.gen(function* () {
    const left = yield* remains
    for (const line of left) yield* Console.error(`left after ${when}: ${line}`)
    return left.length
  })

/** What was sent and is not stored; lost is what no gap of the ledger explains, as one does when a process is killed with frames on their way. */
const missing = Effect.fnUntraced(function* (sent: ReadonlyMap<string, number>) {
  const rows =
    yield* query(`select k.ticker || chr(9) || (extract(epoch from t.ts) * 1000)::bigint as key, count(*)::int as n
    from ticks t join market_keys k using (market_id) group by 1`)
  const gaps = yield* query(`select (extract(epoch from from_ts) * 1000)::float8 as since,
    (extract(epoch from coalesce(to_ts, 'infinity')) * 1000)::float8 as until from capture_gaps where feed in ('all', 'ticker')`)
  const stored = new Map(rows.map(({ key, n }) => [String(key), Number(n)]))
  const isExplained = (key: string) => {
    const at = Number(key.split("\t")[1])
    return gaps.some(({ since, until }) => Number(since) <= at && at <= Number(until))
  }
  const unexplained = new Map([...sent].filter(([key, n]) => (stored.get(key) ?? 0) >= n || !isExplained(key)))
  const all = Verdict.compare(sent, stored)
  return {
    ...all,
    lost: Verdict.compare(unexplained, stored).lost,
    inGaps: all.lost - Verdict.compare(unexplained, stored).lost
  }
})

/** Also when the lab fails in the middle. */
const noJobs = run(`scancel --user ${user}`, asUser).pipe(
  Effect.andThen(
    waitFor(
      "the end of all jobs",
      60,
      run("squeue --noheader --me", asUser),
      ({ code, out }) => code === 0 && out.trim() === ""
    )
  ),
  Effect.ignore
)

export const record = Effect.fnUntraced(function* (image: string | undefined) {
  const built = image === undefined ? yield* build : yield* given(image)
  yield* Slurm.daemons
  yield* Effect.addFinalizer(() => noJobs)
  const announced = yield* exchange
  yield* walk("settings")
  fs.appendFileSync(path.join(at.home, ".env"), settingsOf(announced))

  const first = submitted((yield* walk("submit")).out)
  yield* more("ticks of the first job", ticks, 0).pipe(Effect.tapError(() => Console.error(logOf(first))))
  yield* walk("look")
  yield* walk("ask")
  yield* walk("backup")
  const { out: restored } = yield* walk("restore")
  const { tables } = JSON.parse(read(path.join(at.data, "kalshi-backup/manifest.json"))) as {
    readonly tables: ReadonlyArray<{ readonly parent: string | null; readonly rows: number }>
  }
  const copied = tables.reduce((sum, { parent, rows }) => sum + (parent === "ticks" ? rows : 0), 0)
  if (copied === 0 || !/^restored .* rows of \d+ tables/m.test(restored))
    return yield* new LabFailed({ step: "the restored backup", said: restored })
  yield* say(`backed up beside the job, and restored with every table compared: ${copied} ticks`)

  const lock = path.join(pgdata, "postgres/postmaster.pid")
  const before = read(lock)
  const second = submitted(
    (yield* must("the second job", "sbatch --job-name=second slurm/run_ingestor.sbatch", asUser)).out
  )
  const third = submitted(
    (yield* must(
      "the third job",
      `sbatch --job-name=third --partition=${Slurm.otherPartition} slurm/run_ingestor.sbatch`,
      asUser
    )).out
  )
  const refusals = yield* Effect.forEach([second, third], (job) =>
    Effect.gen(function* () {
      const { node, state } = yield* gone(job)
      yield* say(
        `job ${job} on ${node}: ${state}; ${/^PGDATA_HOST: .*is in use by.*$/m.exec(logOf(job))?.[0] ?? "no reason"}`
      )
      return state === "FAILED" && logOf(job).includes(`is in use by job ${first}, `) && node
    })
  )
  const secondRefused =
    refusals[0] === Nodes.here && refusals[1] === Nodes.other && read(lock) === before && before !== ""

  const workers = submitted((yield* walk("workers", { SBATCH_PARTITION: Slurm.otherPartition })).out)
  const predictor = submitted((yield* walk("predictor")).out)
  yield* more("a worker of another job", connected("worker"), 0)
  yield* more("the predictor of another job", connected("predictor"), 0)
  yield* more("candles, which the workers bring", candles, 0)

  // Signalled once they have run for a minute, while the rest goes on.
  yield* Slurm.limit(workers, 2)
  const seen = yield* ticks
  yield* Slurm.limit(first, 2)
  yield* gone(first)
  const next = yield* waitFor(
    "the next job",
    60,
    Effect.sync(() => /job (\d+) goes on/.exec(logOf(first))?.[1] ?? ""),
    (job) => job !== ""
  ).pipe(Effect.tapError(() => Console.error(logOf(first))))
  yield* Slurm.limit(next, 60)
  yield* more("ticks of the next job", ticks, seen).pipe(Effect.tapError(() => Console.error(logOf(next))))
  const [gap] = yield* waitFor("the hole in the ledger", 60, hole, (rows) => Number(rows[0]?.["n"]) > 0)
  yield* say(`job ${first} handed over to ${next}: a hole of ${Number(gap?.["seconds"]).toFixed(1)} s`)
  yield* walk("holder")
  yield* more("the predictor, which followed the database", connected("predictor"), 0)
  yield* waitFor(
    "a worker's way back into the queue",
    120,
    Slurm.stateOf(`${workers}_1`),
    ({ restarts }) => restarts === 1
  )

  const lastHole = Number(gap?.["until"])
  const stood = yield* ticks
  yield* Nodes.fail
  yield* waitFor("the requeued job", 60, Slurm.stateOf(next), ({ state }) => state === "PENDING")
  yield* Slurm.hereAndNow(next)
  yield* more("ticks after the loss of a node", ticks, stood).pipe(Effect.tapError(() => Console.error(logOf(next))))
  const [loss] = yield* waitFor("its hole in the ledger", 60, holeAfter(lastHole), (rows) => Number(rows[0]?.["n"]) > 0)
  yield* say(`node ${Nodes.other} lost: a hole of ${Number(loss?.["seconds"]).toFixed(1)} s`)

  yield* must("the end of the guests", `scancel ${workers} ${predictor}`, asUser)
  yield* walk("cancel")
  yield* gone(next)
  const leftovers = yield* waitFor("the end of everything", 60, remains, (left) => left.length === 0).pipe(
    Effect.as(0),
    Effect.catchTag("LabFailed", () => nothingLeft("scancel"))
  )
  const serverLog = path.join(pgdata, "postgres.log")
  const said = read(serverLog).length

  yield* walk("install")
  const fourth = submitted((yield* walk("no-container-job")).out)
  yield* more("ticks of a job without a container", ticks, seen).pipe(
    Effect.tapError(() => Console.error(logOf(fourth)))
  )
  if (/not properly shut down|automatic recovery/.test(read(serverLog).slice(said)))
    return yield* new LabFailed({ step: "the database after scancel", said: "did not start clean" })
  yield* walk("cancel")
  yield* gone(fourth)

  const byHand = yield* Effect.gen(function* () {
    yield* keep(
      `bash -c '${commandsOf("no-slurm").trim()}'`,
      { ...asUser, env: { ...environment, APPTAINER: "0" } },
      at.log("by-hand")
    )
    yield* more("ticks without Slurm", ticks, yield* more("the database without Slurm", ticks, 0))
    const http = yield* HttpClient.HttpClient
    yield* http.execute(HttpClientRequest.post(`${announced.control}/pause`))
    const sent = Verdict.parseSent(
      yield* Effect.flatMap(http.get(`${announced.control}/sent?channel=ticker`), (response) => response.text)
    )
    return yield* waitFor("every frame", 20, missing(sent), ({ lost }) => lost === 0).pipe(
      Effect.catchTag("LabFailed", () => missing(sent))
    )
  }).pipe(Effect.scoped)
  const result: Result = {
    ...built,
    ticks: byHand.stored,
    handoverGapSeconds: Number(Number(gap?.["seconds"]).toFixed(1)),
    secondRefused,
    nodeLossGapSeconds: Number(Number(loss?.["seconds"]).toFixed(1)),
    leftovers: leftovers + (yield* nothingLeft("everything")),
    lost: byHand.lost,
    inGaps: byHand.inGaps,
    duplicated: byHand.duplicated
  }
  return result
})
