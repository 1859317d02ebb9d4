import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import { vi } from "vitest"
import * as AdminClient from "../../src/admin/AdminClient.ts"
import * as AdminConfig from "../../src/admin/AdminConfig.ts"
import * as BearerToken from "../../src/admin/BearerToken.ts"
import * as Ports from "../../src/local/Ports.ts"
import { SettingError } from "../../src/runtime/SettingError.ts"
import { TestDatabase } from "../support/Database.ts"
import { auditRows, folder, overPort, overSocket, program, token } from "./AdminFixture.ts"

const compared: Array<readonly [number, number]> = []

vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>()
  return {
    ...crypto,
    timingSafeEqual: (a: Uint8Array, b: Uint8Array) => {
      compared.push([a.length, b.length])
      return crypto.timingSafeEqual(a, b)
    }
  }
})

/** Somebody who does not use our client. */
const stranger = (port: number, body: string, headers: Readonly<Record<string, string>>) =>
  HttpClientRequest.post(`http://127.0.0.1:${port}/rpc`).pipe(
    HttpClientRequest.bodyText(body),
    HttpClientRequest.setHeaders(headers),
    HttpClient.execute,
    Effect.flatMap(({ status, text }) => Effect.map(text, (told) => [status, told] as const)),
    Effect.provide(NodeHttpClient.layerNodeHttp)
  )

const mistakeOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, SettingError)
    return error as unknown as SettingError
  })

const answers = (socket: string) => Effect.scoped(Effect.flatMap(overSocket(socket), (client) => client.status()))

describe("the socket", () => {
  it.live("is the user's alone, and goes when the program ends in order", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const { socket } = yield* Effect.scoped(
        Effect.gen(function* () {
          const made = yield* program({ home })
          assert.strictEqual((yield* answers(made.socket)).instance, "00000000aa")
          assert.strictEqual(fs.statSync(path.dirname(made.socket)).mode & 0o777, 0o700)
          return made
        })
      )
      assert.isFalse(fs.existsSync(socket))
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("two programs stand side by side, and each answers for itself", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const one = yield* program({ home })
      const other = yield* program({ home, service: "ws", instance: "00000000bb" })
      assert.strictEqual((yield* answers(one.socket)).service, "rest")
      assert.strictEqual((yield* answers(other.socket)).service, "ws")
      const found = AdminClient.sockets(home)
      assert.deepStrictEqual(
        typeof found === "string" ? found : found.map(({ instance, service }) => `${service}-${instance}`),
        ["rest-00000000aa", "ws-00000000bb"]
      )
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("sweeps what a killed program left, and nothing that is listened on", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const run = path.join(home, "run")
      fs.mkdirSync(run, { mode: 0o700 })
      const left = path.join(run, "ws-0123456789.sock")
      const listening = path.join(run, "ws-9876543210.sock")
      const other = path.join(run, "notes.txt")
      fs.writeFileSync(other, "not a socket")
      yield* Effect.promise(
        () =>
          new Promise<void>((resolve) => {
            // A socket whose server is gone: closing it would remove the file, so the file is put back under its name.
            const server = net.createServer()
            server.listen(`${left}.tmp`, () => {
              fs.linkSync(`${left}.tmp`, left)
              server.close(() => resolve())
            })
          })
      )
      assert.isTrue(fs.existsSync(left))
      assert.isTrue(yield* AdminClient.isDead(left))
      const server = yield* Effect.acquireRelease(
        Effect.promise(
          () =>
            new Promise<net.Server>((resolve) => {
              const made = net.createServer()
              made.listen(listening, () => resolve(made))
            })
        ),
        (made) => Effect.promise(() => new Promise<void>((resolve) => made.close(() => resolve())))
      )
      assert.isTrue(server.listening)
      const { socket } = yield* program({ home })
      assert.isFalse(fs.existsSync(left))
      assert.isTrue(fs.existsSync(listening))
      assert.isTrue(fs.existsSync(other))
      assert.strictEqual((yield* answers(socket)).service, "rest")
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("a directory that others may enter is a warning, and the program runs", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const run = path.join(home, "run")
      fs.mkdirSync(run)
      fs.chmodSync(run, 0o755)
      const port = yield* Ports.free()
      const { logged, socket } = yield* program({
        home,
        env: { SERVICE_ADMIN_PORT: String(port), SERVICE_ADMIN_TOKEN: token }
      })
      assert.isFalse(fs.existsSync(socket))
      assert.isTrue(
        logged.some((line) => line.startsWith("Warn") && line.includes("admin calls cannot be made")),
        logged.join("\n")
      )
      const client = yield* overPort(port, Redacted.make(token))
      assert.strictEqual((yield* client.status()).service, "rest", "the port is not concerned")
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("lies in the system's temporary directory where DATA_DIR is too long for one", () =>
    Effect.gen(function* () {
      const home = path.join(yield* folder, "d".repeat(100))
      const directory = AdminConfig.socketDirectory(home)
      assert.notInclude(directory, "ddd")
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true })))
      yield* program({ home })
      assert.strictEqual(fs.statSync(directory).mode & 0o777, 0o700)
      const [found] = AdminClient.sockets(home)
      assert.isObject(found)
      assert.strictEqual(
        (yield* answers((found as AdminClient.Address & { readonly path: string }).path)).service,
        "rest"
      )
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("is not there when SERVICE_ADMIN_SOCKET is 0", () =>
    Effect.gen(function* () {
      const home = yield* folder
      yield* program({ home, env: { SERVICE_ADMIN_SOCKET: "0" } })
      assert.deepStrictEqual(AdminClient.sockets(home), [])
    }).pipe(Effect.provide(TestDatabase.layer))
  )
})

describe("the port", () => {
  it.live("answers beside the socket", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const port = yield* Ports.free()
      const { socket } = yield* program({
        home,
        env: { SERVICE_ADMIN_PORT: String(port), SERVICE_ADMIN_TOKEN: token }
      })
      const overIt = yield* overPort(port, Redacted.make(token))
      assert.strictEqual((yield* overIt.status()).service, "rest")
      assert.strictEqual((yield* answers(socket)).service, "rest")
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  const wrong: Readonly<Record<string, string | undefined>> = {
    "a wrong token": "fedcba9876543210-wrong",
    "an empty token": "",
    "a longer token": `${token}x`,
    "a shorter token": token.slice(0, -1),
    "no token": undefined
  }

  it.live("does and tells nothing without the token", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const port = yield* Ports.free()
      const { loops } = yield* program({
        home,
        env: { SERVICE_ADMIN_PORT: String(port), SERVICE_ADMIN_TOKEN: token, SERVICE_ADMIN_SOCKET: "0" }
      })
      yield* loops.cycle("discovery", { pass: Effect.void, every: "1 hour" })
      for (const [what, shown] of Object.entries(wrong)) {
        if (shown !== undefined) {
          const client = yield* overPort(port, Redacted.make(shown))
          const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
            client.status(),
            client.pauseLoop({ loop: "discovery" }),
            client.drain()
          ]
          for (const call of calls) {
            const error = yield* Effect.flip(call)
            assert.isTrue(AdminClient.isRefusal(error as Parameters<typeof AdminClient.isRefusal>[0]), what)
          }
        }
        const body = JSON.stringify({ _tag: "Request", id: "1", tag: "nonsense", payload: null, headers: [] })
        const authorization = shown === undefined ? {} : { authorization: `Bearer ${shown}` }
        for (const text of [body, "{", ""]) {
          const response = yield* stranger(port, `${text}\n`, authorization)
          assert.deepStrictEqual(response, [401, "the token of SERVICE_ADMIN_TOKEN is asked for\n"], what)
        }
      }
      assert.isTrue((yield* loops.states).every(({ isPaused }) => !isPaused))
      assert.deepStrictEqual(yield* auditRows, [])
      const client = yield* overPort(port, Redacted.make(token))
      assert.isTrue((yield* client.pauseLoop({ loop: "discovery" })).isPaused)
      assert.strictEqual((yield* auditRows).length, 1)
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("an address where something else answers is told from one where nothing does", () =>
    Effect.gen(function* () {
      const strange = yield* Effect.acquireRelease(
        Effect.promise(
          () =>
            new Promise<http.Server>((resolve) => {
              const made = http.createServer((_, response) => response.writeHead(404).end("not here"))
              made.listen(0, "127.0.0.1", () => resolve(made))
            })
        ),
        (made) => Effect.sync(() => made.close())
      )
      const complaintAt = Effect.fnUntraced(function* (port: number) {
        const client = yield* overPort(port, Redacted.make(token))
        const error = yield* Effect.flip(client.status())
        return error._tag === "AdminError" ? error.message : AdminClient.complaintOf(error)
      })
      assert.include(yield* complaintAt((strange.address() as net.AddressInfo).port), "404")
      assert.include(yield* complaintAt(yield* Ports.free()), "ECONNREFUSED")
    })
  )

  it("compares digests of one length, whatever is shown", () => {
    const isShown = BearerToken.shows(Redacted.make(token))
    compared.length = 0
    const shown = [
      undefined,
      "",
      "Bearer ",
      `Bearer ${token}`,
      `Bearer ${token}x`,
      "x".repeat(100_000),
      `bearer ${token}`
    ]
    assert.deepStrictEqual(
      shown.map((one) => isShown(one)),
      [false, false, false, true, false, false, false]
    )
    assert.deepStrictEqual(
      compared,
      shown.map(() => [32, 32] as const)
    )
  })

  for (const [what, env] of Object.entries({
    missing: {},
    empty: { SERVICE_ADMIN_TOKEN: "" },
    "too short": { SERVICE_ADMIN_TOKEN: "fifteen-letters" }
  }))
    it.live(`a token that is ${what} is one line that names SERVICE_ADMIN_TOKEN`, () =>
      Effect.gen(function* () {
        const home = yield* folder
        const port = yield* Ports.free()
        const mistake = yield* mistakeOf(program({ home, env: { SERVICE_ADMIN_PORT: String(port), ...env } }))
        assert.strictEqual(mistake.setting, "SERVICE_ADMIN_TOKEN")
        assert.notInclude(mistake.message, "fifteen")
        assert.notInclude(mistake.message, "\n")
      }).pipe(Effect.provide(TestDatabase.layer))
    )

  it.live("one that is in use is one line that names SERVICE_ADMIN_PORT", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const port = yield* Ports.free()
      const env = { SERVICE_ADMIN_PORT: String(port), SERVICE_ADMIN_TOKEN: token }
      yield* program({ home, env })
      const mistake = yield* mistakeOf(program({ home, env, instance: "00000000bb" }))
      assert.strictEqual(mistake.setting, "SERVICE_ADMIN_PORT")
      assert.include(mistake.message, String(port))
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("a caller that goes does not stop the pass it asked for", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const port = yield* Ports.free()
      const { loops } = yield* program({
        home,
        env: { SERVICE_ADMIN_PORT: String(port), SERVICE_ADMIN_TOKEN: token }
      })
      yield* loops.cycle("slow", { pass: Effect.never, every: "1 hour" })
      const client = yield* overPort(port, Redacted.make(token))
      const run = yield* Effect.forkChild(client.runLoop({ loop: "slow" }), { startImmediately: true })
      yield* Effect.repeat(auditRows, { until: (rows) => rows.length === 1 })
      yield* Fiber.interrupt(run)
      const rows = yield* Effect.repeat(auditRows, { until: ([row]) => row?.outcome !== null })
      assert.strictEqual(rows[0]?.outcome, "interrupted")
      assert.strictEqual((yield* loops.states)[0]?.phase, "running", "the pass goes on")
    }).pipe(Effect.provide(TestDatabase.layer))
  )
})
