import { scryptSync } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import * as TestClock from "effect/testing/TestClock"
import { LoginThrottle } from "../../src/portal/LoginThrottle.ts"
import { PortalConfig } from "../../src/portal/PortalConfig.ts"
import { Sessions } from "../../src/portal/Sessions.ts"
import { PortalAccess } from "../../src/store/PortalAccess.ts"
import { TestDatabase } from "../support/Database.ts"
import { Portal, password, secretKey } from "./PortalFixture.ts"

const configured = (environment: Readonly<Record<string, string>>) =>
  Layer.fresh(PortalConfig.layer).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment))))

const sessions = (environment: Readonly<Record<string, string>> = {}) =>
  Layer.fresh(Sessions.layer).pipe(
    Layer.provide(configured({ WEB_PORTAL_PASSWORD: password, WEB_PORTAL_SECRET_KEY: secretKey, ...environment })),
    Layer.provide(Layer.fresh(PortalAccess.layer)),
    Layer.provide(TestDatabase.actingClient)
  )

const database = TestDatabase.as("portal")

layer(database, { timeout: "30 seconds" })("sessions", (it) => {
  it.effect("end after twelve hours", () =>
    Effect.gen(function* () {
      const { signIn, verify } = yield* Sessions
      const { token } = yield* signIn(password, "a")
      yield* TestClock.adjust("11 hours")
      assert.isTrue(Option.isSome(yield* verify(token)))
      yield* TestClock.adjust("61 minutes")
      assert.isTrue(Option.isNone(yield* verify(token)))
    }).pipe(Effect.provide(sessions()))
  )

  it.effect("cannot be forged, stretched or carried over to another key or password", () =>
    Effect.gen(function* () {
      const { signIn, verify } = yield* Sessions
      const { token } = yield* signIn(password, "a")
      const [expiry, nonce, signature] = token.split(".")
      for (const forged of [
        `${Number(expiry) + 1}.${nonce}.${signature}`,
        `${expiry}.${nonce}x.${signature}`,
        `${expiry}.${nonce}.${"A".repeat(signature!.length)}`,
        `${expiry}.${nonce}`,
        `${token}.`,
        ""
      ])
        assert.isTrue(Option.isNone(yield* verify(forged)), forged)
      for (const other of [{ WEB_PORTAL_SECRET_KEY: "another key, long enough" }, { WEB_PORTAL_PASSWORD: "another" }])
        assert.isTrue(
          Option.isNone(yield* Sessions.use(({ verify }) => verify(token)).pipe(Effect.provide(sessions(other))))
        )
    }).pipe(Effect.provide(sessions()))
  )

  it.effect("that end on one portal end on the others of the database, within two seconds", () =>
    Effect.gen(function* () {
      const [one, other] = [
        yield* Sessions.pipe(Effect.provide(sessions())),
        yield* Sessions.pipe(Effect.provide(sessions()))
      ]
      const [leaving, staying] = [yield* one.signIn(password, "b"), yield* one.signIn(password, "b")]
      const known = yield* other.verify(leaving.token)
      assert.isTrue(Option.isSome(known))
      yield* one.end(Option.getOrThrow(known))
      yield* TestClock.adjust("3 seconds")
      assert.isTrue(Option.isNone(yield* other.verify(leaving.token)))
      assert.isTrue(Option.isSome(yield* other.verify(staying.token)))
      yield* one.endAll
      yield* TestClock.adjust("3 seconds")
      assert.isTrue(Option.isNone(yield* other.verify(staying.token)))
      assert.isTrue(Option.isSome(yield* other.verify((yield* other.signIn(password, "b")).token)))
    })
  )

  it.effect("start with a scrypt-hashed password too", () => {
    const salt = Buffer.from("0123456789abcdef")
    const hash = scryptSync(password, salt, 32, { N: 1024, r: 8, p: 1 })
    const WEB_PORTAL_PASSWORD = `scrypt$1024$8$1$${salt.toString("base64")}$${hash.toString("base64")}`
    return Effect.gen(function* () {
      const { signIn } = yield* Sessions
      assert.strictEqual((yield* Effect.flip(signIn("wrong", "a")))._tag, "WrongPassword")
      assert.strictEqual((yield* Effect.flip(signIn(WEB_PORTAL_PASSWORD, "a")))._tag, "WrongPassword")
      assert.isString((yield* signIn(password, "a")).token)
    }).pipe(Effect.provide(sessions({ WEB_PORTAL_PASSWORD })))
  })
})

const retryAfter = (attempt: ReturnType<LoginThrottle["Service"]["attempt"]>) =>
  Effect.map(Effect.flip(attempt), (error) => (error._tag === "TooManyAttempts" ? error.retryAfterSeconds : undefined))

layer(database, { timeout: "30 seconds" })("the throttle", (it) => {
  it.effect("slows an address that guesses, leaves others alone and forgets after success", () =>
    Effect.gen(function* () {
      const { attempt, succeeded } = yield* LoginThrottle
      for (let i = 0; i < 5; i++) yield* attempt("guesser")
      assert.strictEqual(yield* retryAfter(attempt("guesser")), 1)
      yield* attempt("somebody else")
      yield* TestClock.adjust("1 second")
      yield* attempt("guesser")
      assert.strictEqual(yield* retryAfter(attempt("guesser")), 2)
      yield* TestClock.adjust("2 seconds")
      yield* attempt("guesser")
      yield* succeeded("guesser")
      for (let i = 0; i < 5; i++) yield* attempt("guesser")
    }).pipe(
      Effect.provide(
        LoginThrottle.layer.pipe(Layer.provide(PortalAccess.layer), Layer.provide(TestDatabase.actingClient))
      )
    )
  )
})

layer(database, { timeout: "30 seconds" })("several portals", (it) => {
  it.effect("count the guesses of an address together", () =>
    Effect.gen(function* () {
      const portal = Layer.fresh(LoginThrottle.layer).pipe(
        Layer.provide(Layer.fresh(PortalAccess.layer)),
        Layer.provide(TestDatabase.actingClient),
        Layer.provide(TestDatabase.actingClient)
      )
      const [one, other] = [
        yield* LoginThrottle.pipe(Effect.provide(portal)),
        yield* LoginThrottle.pipe(Effect.provide(portal))
      ]
      for (let i = 0; i < 5; i++) yield* (i % 2 === 0 ? one : other).attempt("guesser")
      assert.strictEqual(yield* retryAfter(one.attempt("guesser")), 1)
      assert.strictEqual(yield* retryAfter(other.attempt("guesser")), 1)
    })
  )
})

layer(database, { timeout: "30 seconds" })("settings", (it) => {
  const good = { WEB_PORTAL_PASSWORD: "p", WEB_PORTAL_SECRET_KEY: secretKey }
  const cases: ReadonlyArray<readonly [string, Readonly<Record<string, string>>]> = [
    ["WEB_PORTAL_PASSWORD", { ...good, WEB_PORTAL_PASSWORD: "" }],
    ["WEB_PORTAL_PASSWORD", { ...good, WEB_PORTAL_PASSWORD: "scrypt$3$8$1$AAAA$AAAA" }],
    ["WEB_PORTAL_SECRET_KEY", { ...good, WEB_PORTAL_SECRET_KEY: "" }],
    ["WEB_PORTAL_SECRET_KEY", { ...good, WEB_PORTAL_SECRET_KEY: "fifteen-letters" }],
    ["WEB_PORTAL_PORT", { ...good, WEB_PORTAL_PORT: "http" }],
    ["WEB_PORTAL_LIMIT", { ...good, WEB_PORTAL_LIMIT: "0" }],
    ["WEB_PORTAL_COOKIE_NAME", { ...good, WEB_PORTAL_COOKIE_NAME: "a b" }],
    ["WEB_PORTAL_COOKIE_SAMESITE", { ...good, WEB_PORTAL_COOKIE_SAMESITE: "None" }],
    ["WEB_PORTAL_COOKIE_DOMAIN", { ...good, WEB_PORTAL_COOKIE_DOMAIN: "a;b" }],
    ["WEB_PORTAL_COOKIE_PATH", { ...good, WEB_PORTAL_COOKIE_PATH: "portal" }],
    ["WEB_PORTAL_BACKFILL_MODE", { ...good, WEB_PORTAL_BACKFILL_MODE: "maybe" }],
    ["WEB_PORTAL_KALSHI_EVENT_URL_TEMPLATE", { ...good, WEB_PORTAL_KALSHI_EVENT_URL_TEMPLATE: "javascript:alert(1)" }]
  ]
  for (const [setting, environment] of cases)
    it.effect(`${setting} is refused in one line without the secret: ${JSON.stringify(environment)}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Layer.build(sessions(environment)).pipe(Effect.scoped))
        assert.isTrue(error._tag === "SettingError")
        assert.strictEqual(error.setting, setting)
        assert.notInclude(error.message, "\n")
        assert.notInclude(error.message, "fifteen-letters")
      })
    )
})

layer(Portal.layerWith({ WEB_PORTAL_COOKIE_NAME: "kp", WEB_PORTAL_TRUST_PROXY: "1" }), {
  timeout: "30 seconds",
  excludeTestServices: true
})("the door", (it) => {
  it.effect("is shut without a session", () =>
    Effect.gen(function* () {
      const { ask } = yield* Portal
      for (const path of [
        "/api/markets/active",
        "/api/markets/closed",
        "/api/overview",
        "/api/stream",
        "/openapi.json"
      ])
        assert.strictEqual((yield* ask(path)).status, 401, path)
      const docs = yield* ask("/docs")
      assert.deepStrictEqual([docs.status, docs.headers["location"]], [303, "/login?next=/docs"])
      assert.strictEqual((yield* ask("/healthz")).status, 200)
      assert.deepStrictEqual(JSON.parse((yield* ask("/api/session")).body), { signedIn: false, expiresAt: null })
    })
  )

  it.effect("opens with the password and closes on sign-out", () =>
    Effect.gen(function* () {
      const { ask } = yield* Portal
      const login = yield* ask("/api/session", { method: "POST", json: { password } })
      assert.strictEqual(login.status, 200)
      const cookie = String(login.headers["set-cookie"])
      assert.match(cookie, /^kp=\d+\.[\w-]+\.[\w-]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Lax$/)
      const headers = { cookie: cookie.split(";")[0]! }
      for (const path of ["/api/overview", "/openapi.json", "/docs"])
        assert.strictEqual((yield* ask(path, { headers })).status, 200, path)
      const spoiled = { cookie: `${headers.cookie.slice(0, -2)}xx` }
      assert.strictEqual((yield* ask("/api/overview", { headers: spoiled })).status, 401)
      const logout = yield* ask("/api/session", { method: "DELETE", headers })
      assert.strictEqual(logout.status, 204)
      assert.match(String(logout.headers["set-cookie"]), /^kp=; Max-Age=0;/)
      assert.strictEqual(
        (yield* ask("/api/overview", { headers })).status,
        401,
        "a copy of the cookie is worth nothing"
      )
    })
  )

  it.effect("closes for every session at once", () =>
    Effect.gen(function* () {
      const { ask, signIn } = yield* Portal
      const [mine, other] = [yield* signIn, yield* signIn]
      assert.strictEqual((yield* ask("/api/overview", { headers: other })).status, 200)
      assert.strictEqual((yield* ask("/api/sessions", { method: "DELETE", headers: mine })).status, 204)
      for (const headers of [mine, other]) assert.strictEqual((yield* ask("/api/overview", { headers })).status, 401)
      assert.strictEqual((yield* ask("/api/overview", { headers: yield* signIn })).status, 200)
    })
  )

  it.effect("opens for reading with a token, which is shown once and can be taken back", () =>
    Effect.gen(function* () {
      const { ask, signIn } = yield* Portal
      const sql = yield* SqlClient.SqlClient
      const cookie = yield* signIn
      const made = yield* ask("/api/tokens", { method: "POST", headers: cookie, json: { name: "notebook", days: 30 } })
      assert.strictEqual(made.status, 200)
      const { id, token } = JSON.parse(made.body)
      assert.match(token, /^kpt_[\w-]{43}$/)
      const bearer = { authorization: `Bearer ${token}` }
      for (const path of ["/api/overview", "/api/events", "/openapi.json"])
        assert.strictEqual((yield* ask(path, { headers: bearer })).status, 200, path)
      for (const [method, path] of [
        ["GET", "/api/tokens"],
        ["POST", "/api/tokens"],
        ["DELETE", "/api/sessions"],
        ["POST", "/api/markets/X/snapshot"],
        ["POST", "/api/markets/X/backfill"]
      ] as const)
        assert.strictEqual(
          (yield* ask(path, { method, headers: bearer, ...(method === "POST" ? { json: { name: "x" } } : {}) })).status,
          401,
          path
        )
      assert.notInclude((yield* ask("/api/tokens", { headers: cookie })).body, token)
      const stored = yield* sql<{ text: string }>`select t::text as text from api_tokens t`
      assert.isFalse(stored.some(({ text }) => text.includes(token) || text.includes(token.slice(4))))
      assert.strictEqual((yield* ask("/api/overview", { headers: { authorization: `Bearer ${token}x` } })).status, 401)
      assert.strictEqual((yield* ask(`/api/tokens/${id}`, { method: "DELETE", headers: cookie })).status, 204)
      assert.strictEqual((yield* ask(`/api/tokens/${id}`, { method: "DELETE", headers: cookie })).status, 404)
      assert.strictEqual((yield* ask("/api/overview", { headers: bearer })).status, 401)
    })
  )

  it.effect("refuses a wrong password, and soon any password from that address", () =>
    Effect.gen(function* () {
      const { ask } = yield* Portal
      const headers = { "x-forwarded-for": "6.6.6.6, 198.51.100.7" }
      const guess = (given: string) => ask("/api/session", { method: "POST", headers, json: { password: given } })
      const statuses = yield* Effect.forEach(["a", "b", "c", "d", "e"], (given) =>
        Effect.map(guess(given), (a) => a.status)
      )
      assert.deepStrictEqual(statuses, [403, 403, 403, 403, 403])
      assert.strictEqual((yield* guess(password)).status, 429)
      const spoofed = { "x-forwarded-for": "1.2.3.4, 198.51.100.7" }
      assert.strictEqual(
        (yield* ask("/api/session", { method: "POST", headers: spoofed, json: { password } })).status,
        429
      )
      const other = { "x-forwarded-for": "203.0.113.9" }
      assert.strictEqual(
        (yield* ask("/api/session", { method: "POST", headers: other, json: { password } })).status,
        200
      )
    })
  )

  it.effect("takes no change from another site", () =>
    Effect.gen(function* () {
      const { ask } = yield* Portal
      const from = (headers: Readonly<Record<string, string>>) =>
        Effect.map(
          ask("/api/session", {
            method: "POST",
            headers: { host: "portal.example", "x-forwarded-for": "192.0.2.1", ...headers },
            json: { password }
          }),
          ({ status }) => status
        )
      assert.strictEqual(yield* from({ "sec-fetch-site": "cross-site" }), 403)
      assert.strictEqual(yield* from({ "sec-fetch-site": "same-site", origin: "https://portal.example" }), 403)
      assert.strictEqual(yield* from({ origin: "https://evil.example" }), 403)
      assert.strictEqual(yield* from({ origin: "null" }), 403)
      assert.strictEqual(yield* from({ origin: "https://portal.example" }), 200)
      assert.strictEqual(yield* from({ "sec-fetch-site": "same-origin" }), 200)
    })
  )

  it.effect("answers with protective headers, errors included, and says no more than needed", () =>
    Effect.gen(function* () {
      const { ask } = yield* Portal
      for (const path of ["/", "/healthz", "/api/overview", "/nowhere", "/assets/../access.test.ts", "/docs"]) {
        const { body, headers } = yield* ask(path)
        const policy = String(headers["content-security-policy"])
        assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/, path)
        assert.notInclude(policy, "unsafe")
        assert.strictEqual(headers["x-content-type-options"], "nosniff", path)
        assert.strictEqual(headers["referrer-policy"], "no-referrer", path)
        assert.notMatch(body, /at \w+.*:\d+|node_modules|SignedIn\b/)
      }
    })
  )

  it.effect("serves pages fresh, hashed files for ever, both compressed once", () =>
    Effect.gen(function* () {
      const { ask } = yield* Portal
      const index = yield* ask("/login?next=/docs")
      assert.include(index.body, "<title>portal</title>")
      assert.strictEqual(index.headers["cache-control"], "no-cache")
      const known = { "if-none-match": String(index.headers["etag"]) }
      assert.strictEqual((yield* ask("/", { headers: known })).status, 304)
      const script = yield* ask("/assets/index-AbCd1234.js", { headers: { "accept-encoding": "br, gzip" } })
      assert.strictEqual(script.headers["cache-control"], "public, max-age=31536000, immutable")
      assert.strictEqual(script.headers["content-encoding"], "gzip")
      assert.isUndefined((yield* ask("/assets/index-AbCd1234.js")).headers["content-encoding"])
      assert.strictEqual((yield* ask("/assets/index-00000000.js")).status, 404)
    })
  )
})

layer(Portal.layerWith({ WEB_PORTAL_RATE_PER_SEC: "2" }), { timeout: "30 seconds", excludeTestServices: true })(
  "the pace",
  (it) => {
    it.effect("of one visitor is limited, not that of another", () =>
      Effect.gen(function* () {
        const { ask, signIn } = yield* Portal
        const [mine, other] = [yield* signIn, yield* signIn]
        const statuses = yield* Effect.forEach(Array.from({ length: 20 }), () =>
          Effect.map(ask("/api/events/counts", { headers: mine }), ({ status }) => status)
        )
        assert.strictEqual(statuses[0], 200)
        assert.include(statuses, 429)
        assert.strictEqual((yield* ask("/api/events/counts", { headers: other })).status, 200)
      })
    )
  }
)
