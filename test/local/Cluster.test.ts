import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Schedule from "effect/Schedule"
import { programsOf } from "../../src/local/ClusterPrograms.ts"
import * as ConnectionFile from "../../src/local/ConnectionFile.ts"
import * as Ports from "../../src/local/Ports.ts"
import { isAlive } from "../../src/store/OwnerLock.ts"
import * as Exchange from "../support/Exchange.ts"
import * as Programs from "../support/Programs.ts"

const root = path.resolve(import.meta.dirname, "../..")

const fast = { LEASE_BEAT_SECONDS: "0.2", LEASE_FENCE_SECONDS: "2", LEASE_TAKE_SECONDS: "4", DRAIN_SECONDS: "5" }

const until = (condition: () => boolean) =>
  Effect.sync(condition).pipe(Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (isTrue) => isTrue }))

const postmaster = (home: string) =>
  Number(
    (fs.existsSync(`${home}/postgres/postmaster.pid`)
      ? fs.readFileSync(`${home}/postgres/postmaster.pid`, "utf8")
      : "0"
    ).split("\n")[0]
  )

const query = (home: string, text: string) =>
  Effect.gen(function* () {
    const { url } = ConnectionFile.read(home)!
    const sql = yield* PgClient.makeClient({ url })
    return yield* sql.unsafe<Record<string, unknown>>(text)
  }).pipe(Effect.scoped, Effect.provide(Reactivity.layer))

const database = Effect.fnUntraced(function* (home: string, env: Readonly<Record<string, string>> = {}) {
  const port = yield* Ports.free()
  const running = yield* Programs.running(
    "cluster",
    { PGDATA_HOST: home, POSTGRES_PORT: String(port), ...fast, ...env },
    ["database"]
  )
  yield* until(() => ConnectionFile.read(home)?.run === (env["CLUSTER_RUN"] ?? "by-hand"))
  return running
})

describe("cluster database", () => {
  it.live(
    "runs on a folder that it holds; a second one names the holder; a killed one takes its server with it and loses nothing",
    () =>
      Effect.gen(function* () {
        const home = yield* Programs.folder
        const first = yield* database(home, { CLUSTER_RUN: "one", SLURM_JOB_ID: "500" })
        assert.strictEqual(fs.statSync(ConnectionFile.fileOf(home)).mode & 0o777, 0o600)
        yield* query(home, "create table kept as select 7 as n")
        const pid = postmaster(home)

        const second = yield* Programs.run("cluster", { PGDATA_HOST: home, CLUSTER_RUN: "two", ...fast }, ["database"])
        assert.strictEqual(second.code, 1)
        assert.match(
          second.stderr,
          new RegExp(
            `^PGDATA_HOST: .* is in use by job 500, process ${first.pid} on host .*; stop that one, or name another folder\n$`
          )
        )
        assert.isTrue(isAlive(pid))
        assert.strictEqual(postmaster(home), pid)

        yield* first.end("SIGKILL")
        const third = yield* database(home, { CLUSTER_RUN: "three" })
        assert.isFalse(isAlive(pid))
        assert.deepStrictEqual(yield* query(home, "select n from kept"), [{ n: 7 }])
        assert.strictEqual(yield* third.end("SIGTERM"), 0)
        assert.isFalse(fs.existsSync(`${home}/postgres/postmaster.pid`))
        assert.isFalse(fs.existsSync(ConnectionFile.fileOf(home)))
        const status = yield* Programs.run("cluster", { PGDATA_HOST: home }, ["status"])
        assert.deepStrictEqual([status.code, /free; last held by process/.test(status.stdout)], [3, true])
      }),
    60_000
  )

  it.live(
    "starts a server again that was killed, and stops it at once when the lease is lost",
    () =>
      Effect.gen(function* () {
        const home = yield* Programs.folder
        const running = yield* database(home)
        yield* query(home, "create table kept as select 7 as n")
        const pid = postmaster(home)
        process.kill(pid, "SIGKILL")
        yield* until(() => postmaster(home) !== pid && ConnectionFile.read(home) !== undefined)
        const next = postmaster(home)
        assert.deepStrictEqual(
          yield* query(home, "select n from kept").pipe(Effect.retry(Schedule.spaced("100 millis"))),
          [{ n: 7 }]
        )
        fs.writeFileSync(path.join(home, "lease.2"), "another job's")
        yield* until(() => !isAlive(next))
        assert.strictEqual(yield* running.end("SIGCONT"), 1)
        assert.include(running.stderr(), "another job has taken the lease")
        assert.strictEqual(fs.readFileSync(path.join(home, "lease.2"), "utf8"), "another job's")
      }),
    60_000
  )

  it.live(
    "never removes the lock file of a server on another node, nor signals a server that is not its own",
    () =>
      Effect.gen(function* () {
        const home = yield* Programs.folder
        const first = yield* database(home)
        const pid = postmaster(home)
        const lock = fs.readFileSync(`${home}/postgres/postmaster.pid`, "utf8")
        yield* first.end("SIGTERM")
        fs.writeFileSync(`${home}/postgres/postmaster.pid`, lock)
        fs.writeFileSync(`${home}/postgres/postmaster.host`, "node-17\n")
        const refused = yield* Programs.run("cluster", { PGDATA_HOST: home, ...fast }, ["database"])
        assert.strictEqual(refused.code, 1)
        assert.include(refused.stderr, `was left running as process ${pid} on host node-17`)
        assert.strictEqual(fs.readFileSync(`${home}/postgres/postmaster.pid`, "utf8"), lock)
      }),
    60_000
  )

  it.live(
    "says in one line what is wrong with a setting",
    () =>
      Effect.gen(function* () {
        const home = yield* Programs.folder
        const said = (env: Record<string, string>, command = "database") =>
          Effect.map(Programs.run("cluster", { PGDATA_HOST: home, ...env }, [command]), ({ code, stderr }) => {
            assert.strictEqual(code, 1)
            assert.strictEqual(stderr.trim().split("\n").length, 1, stderr)
            return stderr.trim()
          })
        assert.include(
          yield* said({ LEASE_TAKE_SECONDS: "40" }),
          "LEASE_TAKE_SECONDS: 40 is less than twice LEASE_FENCE_SECONDS, 30; set it to 60 or more"
        )
        assert.include(
          yield* said({ LEASE_BEAT_SECONDS: "20" }),
          "LEASE_FENCE_SECONDS: 30 is less than three times LEASE_BEAT_SECONDS, 20; set it to 60"
        )
        assert.include(
          yield* said({}, "guests"),
          "INGESTOR_MODE: all needs the database's own job; set it to worker or predictor here"
        )
        assert.include(yield* said({ INGESTOR_MODE: "everything" }, "programs"), "INGESTOR_MODE: ")
        fs.writeFileSync(path.join(home, "PG_VERSION"), "16\n")
        assert.include(yield* said({}), "is itself a PostgreSQL cluster, as the Python original kept it")
      }),
    60_000
  )
})

describe("the programs of a job", () => {
  const usual = { mode: "all", workers: 0, portal: false, live: true, shardCount: undefined, predict: false } as const
  const labels = (change: Partial<Parameters<typeof programsOf>[0]>) =>
    programsOf({ ...usual, ...change }).map(({ label }) => label)

  it("are those of the mode and the switches, capture first", () => {
    assert.deepStrictEqual(labels({}), ["ws", "rest"])
    assert.deepStrictEqual(labels({ workers: 2, predict: true, portal: true }), [
      "ws",
      "rest",
      "worker-1",
      "worker-2",
      "predictor",
      "portal"
    ])
    assert.deepStrictEqual(labels({ mode: "ws-worker", workers: 1 }), ["ws", "worker-1"])
    assert.deepStrictEqual(labels({ mode: "worker" }), ["worker-1"])
    assert.deepStrictEqual(labels({ mode: "predictor" }), ["predictor"])
    assert.deepStrictEqual(labels({ mode: "ws", live: false }), [])
    const shards = programsOf({ ...usual, mode: "ws", shardCount: 3 })
    assert.deepStrictEqual(
      shards.map(({ env }) => env["WS_SHARD_ID"]),
      ["0", "1", "2"]
    )
    assert.strictEqual(programsOf({ ...usual, workers: 1 })[1]?.env["WORK_QUEUE_ENABLE"], "1")
  })
})

/** As sbatch runs it, but without Slurm; killed when the scope closes. */
const script = (env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn("bash", [path.join(root, "slurm/run_ingestor.sh")], {
        cwd: root,
        env: { ...Programs.machine(), ENV_FILE: "/dev/null", APPTAINER: "0", NODE: process.execPath, ...env },
        stdio: ["ignore", "ignore", "pipe"]
      })
      const said = { text: "" }
      child.stderr.on("data", (chunk) => {
        said.text += chunk
      })
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
      return { child: child as ChildProcess, said, ended: Effect.promise(() => ended) }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** Processes that have this folder in their environment. */
const processesOf = (home: string) =>
  fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => spawnSync("grep", ["-qza", `^PGDATA_HOST=${home}$`, `/proc/${name}/environ`]).status === 0)

describe.skipIf(!fs.existsSync("/proc/self/environ"))("slurm/run_ingestor.sh", () => {
  it.live(
    "records, hands its folder to the next one, and leaves nothing running, also when it is killed",
    () =>
      Effect.gen(function* () {
        const home = yield* Programs.folder
        const exchange = yield* Exchange.start(path.join(home, "keys"), ["--speed=60", "--rate=50"])
        const env = {
          ...exchange.settings,
          ...fast,
          PGDATA_HOST: home,
          TMPDIR: home,
          POSTGRES_PORT: String(yield* Ports.free()),
          DISCOVERY_SECONDS: "2",
          BACKFILL_FIRST_DAYS: "0.05"
        }
        const ticks = Effect.map(query(home, "select count(*)::int as n from ticks"), (rows) =>
          Number(rows[0]?.["n"])
        ).pipe(Effect.orElseSucceed(() => 0))
        const more = (than: number) =>
          Effect.suspend(() => (ConnectionFile.read(home) === undefined ? Effect.succeed(0) : ticks)).pipe(
            Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: (n) => n > than })
          )
        const first = yield* script(env)
        const seen = yield* more(0)
        const refused = yield* script(env)
        assert.strictEqual(yield* refused.ended, 1)
        assert.match(refused.said.text, /^PGDATA_HOST: .* is in use by process \d+ on host /m)
        assert.isAbove(yield* more(seen), seen)

        first.child.kill("SIGTERM")
        assert.strictEqual(yield* first.ended, 0, first.said.text)
        assert.deepStrictEqual(processesOf(home), [])

        const second = yield* script(env)
        const after = yield* more(seen)
        const closed = yield* query(
          home,
          "select count(*)::int as n from capture_gaps where feed = 'all' and cause = 'shutdown' and to_ts is not null"
        ).pipe(Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: (rows) => Number(rows[0]?.["n"]) > 0 }))
        assert.strictEqual(closed[0]?.["n"], 1)
        second.child.kill("SIGKILL")
        yield* until(() => processesOf(home).length === 0)
        assert.isFalse(fs.existsSync(`${home}/postgres/postmaster.pid`))

        const third = yield* script(env)
        yield* more(after)
        third.child.kill("SIGTERM")
        assert.strictEqual(yield* third.ended, 0, third.said.text)
      }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp)),
    120_000
  )
})

describe("the connection of a database on another node", () => {
  it("is refused when that listens for its own node only", () => {
    const url = (host: string) => Redacted.make(`postgres://postgres:secret@${host}:5432/kalshi`)
    const refused = ConnectionFile.urlHere({ url: url("127.0.0.1"), host: "node-17", run: "r" })
    assert.strictEqual(refused._tag, "Failure")
    const far = ConnectionFile.urlHere({ url: url("node-17"), host: "node-17", run: "r" })
    assert.strictEqual(far._tag === "Success" ? new URL(Redacted.value(far.success)).hostname : "", "node-17")
  })
})
