import * as fs from "node:fs"
import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as AdminClient from "../../src/admin/AdminClient.ts"
import type * as Facts from "../../src/admin/Facts.ts"
import * as Ports from "../../src/local/Ports.ts"
import * as Evidence from "../chaos/Evidence.ts"
import { isClean, judge } from "../chaos/Verdict.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Exchange from "../support/Exchange.ts"
import * as Programs from "../support/Programs.ts"

const token = "a-token-of-the-test-0123"

const until = <A, E, R>(look: Effect.Effect<A, E, R>, done: (found: A) => boolean, what: string | (() => string)) =>
  look.pipe(
    Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: done }),
    Effect.timeoutOrElse({
      duration: "40 seconds",
      orElse: () => Effect.die(new Error(`waited in vain for ${typeof what === "string" ? what : what()}`))
    })
  )

interface Status {
  readonly ok: boolean
  readonly programs: ReadonlyArray<Facts.Status>
}

/** rest, ws and a worker over the simulated exchange, and the admin command beside them. */
const stage = Effect.gen(function* () {
  const home = yield* Programs.folder
  const { url } = yield* TestDatabase
  const exchange = yield* Exchange.start(path.join(home, "keys"), ["--speed=60"])
  const adminPort = yield* Ports.free()
  const env = {
    DATA_DIR: home,
    ...exchange.settings,
    BACKFILL_SECONDS: "0",
    CLOSED_CLEANUP_SECONDS: "0",
    TRADE_RECONCILE_SECONDS: "0",
    REPAIR_SECONDS: "0",
    DISCOVERY_SECONDS: "1",
    KALSHI_WS_CHANNELS: "ticker,trade,market_lifecycle_v2"
  }
  const login = (role: "rest" | "ws" | "worker" | "admin") =>
    Effect.map(TestDatabase.urlAs(role), (address) => ({ DATABASE_URL: Redacted.value(address) }))
  const rest = yield* Programs.running("rest", {
    ...env,
    ...(yield* login("rest")),
    SERVICE_ADMIN_PORT: String(adminPort),
    SERVICE_ADMIN_TOKEN: token
  })
  const ws = yield* Programs.running("ws", { ...env, ...(yield* login("ws")) })
  const worker = yield* Programs.running("worker", { ...env, ...(yield* login("worker")) })
  const admin = (args: ReadonlyArray<string>, settings: Readonly<Record<string, string>> = { DATA_DIR: home }) =>
    Programs.run("admin", settings, args)
  /** What a command says as JSON, when it ends with 0. */
  const told = <A>(...args: ReadonlyArray<string>) =>
    Effect.map(admin([...args, "--json"]), ({ code, stderr, stdout }): A => {
      assert.strictEqual(code, 0, `${args.join(" ")}: ${stderr}`)
      return JSON.parse(stdout.trim().split("\n").at(-1)!)
    })
  const sql = yield* PgClient.PgClient
  const ticks = Effect.map(sql<{ n: number }>`select count(*)::int as n from ticks`, (rows) => rows[0]!.n)
  const more = Effect.flatMap(ticks, (before) => until(ticks, (now) => now > before + 100, "more ticks"))
  yield* until(
    ticks,
    (n) => n > 100,
    () => `ticks\n${rest.stderr()}\n${ws.stderr()}`
  )
  yield* until(
    Effect.sync(() => sockets(home)),
    (found) => found.length === 3,
    "sockets"
  )
  /** A program asked by this process: starting the command takes a second, and is not what every step is about. */
  const of = (service: string) => {
    const [name] = sockets(home).filter((one) => one.startsWith(`${service}-`))
    return AdminClient.connect({ _tag: "Socket", path: path.join(home, "run", name!), service, instance: "" })
  }
  return {
    direct: { DATA_DIR: home, ...(yield* login("admin")) },
    of,
    home,
    url,
    exchange,
    adminPort,
    rest,
    ws,
    worker,
    admin,
    told,
    sql,
    more
  }
})

const sockets = (home: string) =>
  fs.existsSync(path.join(home, "run"))
    ? fs.readdirSync(path.join(home, "run")).filter((name) => name.endsWith(".sock"))
    : []

const live = Layer.merge(TestDatabase.layer, NodeHttpClient.layerNodeHttp)

describe("node dist/admin.js", () => {
  it.live(
    "sees to running programs, and changes their key while they record, without losing a tick",
    () =>
      Effect.gen(function* () {
        const { admin, adminPort, direct, exchange, home, more, of, rest, told, url, worker, ws, sql } = yield* stage

        const pretty = yield* admin(["status"])
        assert.strictEqual(pretty.code, 0, pretty.stderr)
        for (const service of ["rest", "ws", "worker"])
          assert.match(pretty.stdout, new RegExp(`^${service}-[0-9a-f]{10} +ok `, "m"))
        const { ok, programs } = yield* told<Status>("status")
        assert.isTrue(ok)
        assert.deepStrictEqual(programs.map(({ service }) => service).sort(), ["rest", "worker", "ws"])
        assert.notInclude(JSON.stringify(programs), Redacted.value(url))

        const client = yield* of("rest")
        const discovery = Effect.map(client.loops(), (loops) => loops.find(({ loop }) => loop === "discovery")!)
        const paused = yield* told<Readonly<Record<string, Facts.Loop>>>("loops", "pause", "discovery")
        assert.isTrue(Object.values(paused)[0]?.isPaused)
        const still = yield* until(discovery, ({ phase }) => phase === "paused", "the end of the pass")
        yield* Effect.sleep("2500 millis")
        assert.strictEqual((yield* discovery).passes, still.passes, "no pass in the time of two")
        yield* told("loops", "resume", "discovery")
        yield* until(discovery, ({ passes }) => passes > still.passes + 1, "further passes")
        const unknown = yield* admin(["loops", "pause", "discovry"])
        assert.strictEqual(unknown.code, 1)
        assert.match(unknown.stderr, /^loop: .*discovery.*\n$/)

        // The key.
        const issued = yield* exchange.ask<{ key_id: string; private_key_pem: string }>("keys")
        const keyFile = path.join(home, "second.pem")
        fs.writeFileSync(keyFile, issued.private_key_pem, { mode: 0o600 })
        const wrong = yield* admin(["rotate-key", "--key-id", "nobody", "--key-file", keyFile])
        assert.strictEqual(wrong.code, 1)
        assert.include(wrong.stdout, "401")
        yield* client.runLoop({ loop: "discovery" })
        yield* more
        const rotated = yield* told<{ ok: boolean; programs: ReadonlyArray<unknown> }>(
          "rotate-key",
          "--key-id",
          issued.key_id,
          "--key-file",
          keyFile
        )
        assert.isTrue(rotated.ok)
        assert.strictEqual(rotated.programs.length, 3)
        yield* exchange.post(`keys/${exchange.settings["KALSHI_API_KEY_ID"]}/revoke`)
        yield* more
        yield* client.runLoop({ loop: "discovery" })
        yield* told("resubscribe", "--reconnect", "--yes")
        yield* more
        assert.isTrue((yield* client.health()).ok)
        const feed = yield* Effect.flatMap(of("ws"), (one) => one.subscriptions())
        assert.isAbove(feed.channels[0]!.markets.length, 10)
        assert.match(feed.channels[0]!.markets[0]!, /^KX/)
        assert.strictEqual(feed.sessions, 2)

        // Who may not.
        const url0 = `http://127.0.0.1:${adminPort}`
        const refused = yield* admin(["drain", "--yes", "--url", url0], { SERVICE_ADMIN_TOKEN: `${token}x` })
        assert.strictEqual(refused.code, 1)
        assert.match(refused.stderr, /^admin: [^\n]*SERVICE_ADMIN_TOKEN[^\n]*\n$/)
        assert.notInclude(refused.stderr, token)
        const without = yield* admin(["status", "--url", url0])
        assert.match(without.stderr, /^SERVICE_ADMIN_TOKEN: [^\n]*\n$/)
        const remote = yield* admin(["status", "--url", `${url0}/`], { SERVICE_ADMIN_TOKEN: token })
        assert.strictEqual(remote.code, 0, remote.stderr)
        assert.match(remote.stdout, /^rest-/m)
        const listed = yield* admin(["audit", "--json"])
        assert.strictEqual(listed.code, 0, listed.stderr)
        assert.include(listed.stdout, "rotateKey")
        const refusedOne = yield* admin(["gaps", "list", "--service", "ws"])
        assert.strictEqual(refusedOne.code, 1, "its role may not, and it alone was asked")
        assert.match(refusedOne.stderr, /^admin: [^\n]*DATABASE_URL of the admin role\n$/)
        const unasked = yield* admin(["drain"])
        assert.strictEqual(unasked.code, 1)
        assert.match(unasked.stderr, /^--yes: /)

        // The end.
        yield* exchange.post("pause")
        const frames = Effect.map(
          sql<{ n: number }>`select coalesce(sum(frames), 0)::int as n from journal_positions`,
          (rows) => rows[0]!.n
        )
        yield* until(
          Effect.flatMap(frames, (before) => Effect.map(Effect.delay(frames, "1 second"), (after) => after - before)),
          (grown) => grown === 0,
          "everything to be stored"
        )
        yield* Effect.flatMap(of("worker"), (one) => one.drain())
        assert.strictEqual(yield* worker.ended, 0, worker.stderr())
        yield* told("drain", "--yes")
        assert.strictEqual(yield* ws.ended, 0, ws.stderr())
        assert.strictEqual(yield* rest.ended, 0, rest.stderr())
        assert.deepStrictEqual(sockets(home), [])

        const evidence = yield* Evidence.collect(exchange, url, path.join(home, "journal"), false)
        const verdict = judge(evidence)
        assert.isTrue(isClean(verdict), JSON.stringify(verdict))
        assert.isAbove(verdict.stored, 500)
        assert.deepStrictEqual(
          (yield* sql`select cause from capture_gaps order by id`).map(({ cause }) => cause),
          ["disconnect", "shutdown"],
          "only the cut asked for, and the end, are gaps: the new key is none"
        )

        // Nobody runs: the database, or one line.
        const nobody = yield* admin(["status"])
        assert.strictEqual(nobody.code, 1)
        assert.strictEqual(nobody.stdout, "")
        assert.match(nobody.stderr, /^admin: [^\n]*DATA_DIR[^\n]*\n$/)
        const gaps = yield* admin(["gaps", "list", "--json"], direct)
        assert.strictEqual(gaps.code, 0, gaps.stderr)
        assert.deepStrictEqual(
          JSON.parse(gaps.stdout).map(({ cause }: Facts.Gap) => cause),
          ["shutdown", "disconnect"]
        )
        const audit = yield* admin(["audit", "--json"], direct)
        const calls = JSON.parse(audit.stdout).map(
          ({ call, outcome, via }: Facts.AuditEntry) => `${call} ${via} ${outcome}`
        )
        for (const one of [
          "pauseLoop socket done",
          "resumeLoop socket done",
          "runLoop socket done",
          "rotateKey socket done",
          "rotateKey socket failed",
          "resubscribe socket done",
          "drain socket done"
        ])
          assert.include(calls, one)
        assert.strictEqual(calls.filter((call: string) => call.startsWith("drain")).length, 3)
        assert.notInclude(audit.stdout, "PRIVATE KEY")
        const purged = yield* admin(["jobs", "purge", "done", "--yes", "--json"], direct)
        assert.strictEqual(purged.code, 0, purged.stderr)
        const last = yield* sql`select via, call from admin_audit order by id desc limit 1`
        assert.deepStrictEqual(last, [{ via: "command", call: "purgeJobs" }])
        const lost = yield* admin(["gaps", "list"], { DATA_DIR: home, DATABASE_URL: "postgres://127.0.0.1:9/nowhere" })
        assert.strictEqual(lost.code, 1)
        assert.match(lost.stderr, /^DATABASE_URL: [^\n]*\n$/)
      }).pipe(Effect.scoped, Effect.provide(live)),
    180_000
  )
})
