import { constants, generateKeyPairSync, randomUUID, sign } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { withDefaults } from "../../src/simulator/Options.ts"
import { Routes } from "../../src/simulator/Routes.ts"
import { Verifier } from "../../src/simulator/Verifier.ts"
import { World } from "../../src/simulator/World.ts"
import { start } from "./Support.ts"

const wall = 1_787_603_412_345
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 })
const edwards = generateKeyPairSync("ed25519")
const pem = (key: typeof rsa.publicKey) => key.export({ type: "spki", format: "pem" }).toString()
const keys = [
  { keyId: "rsa", publicKeyPem: pem(rsa.publicKey) },
  { keyId: "ed", publicKeyPem: pem(edwards.publicKey) }
]
const settings = withDefaults({})

const exchange = () => {
  const time = { now: wall }
  const world = new World(7, start)
  const verifier = new Verifier(keys, settings.strictness)
  const scene = { world, strictness: settings.strictness, startMs: start, active: () => true }
  const routes = new Routes(scene, verifier, () => time.now, settings.tokens, undefined)
  const none = { key: undefined, timestamp: undefined, signature: undefined }
  const get = (target: string, headers: typeof none | { key: string; timestamp: string; signature: string } = none) =>
    routes.handle({ method: "GET", target: `/trade-api/v2${target}`, headers })
  return { get, time, world }
}

const signature = (text: string, saltLength: number) =>
  sign("sha256", Buffer.from(text), {
    key: rsa.privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength
  }).toString("base64")

const headers = (path: string, saltLength = 32, timestamp = String(wall)) => ({
  key: "rsa",
  timestamp,
  signature: signature(`${timestamp}GET/trade-api/v2${path}`, saltLength)
})

const details = (body: string): string => JSON.parse(body).error.details

describe("REST", () => {
  it.effect("checks signatures", () =>
    Effect.promise(async () => {
      const { get } = exchange()
      const path = "/account/limits"
      assert.strictEqual((await get(path)).status, 401)
      assert.strictEqual((await get(path, headers(path))).status, 200)
      assert.strictEqual((await get(`${path}?a=1`, headers(path))).status, 200)
      assert.strictEqual((await get(path, headers("/account/other"))).status, 401)
      assert.strictEqual((await get(path, headers(path, 222))).status, 401)
      assert.strictEqual((await get(path, headers(path, 32, String(wall - 31_000)))).status, 401)
      assert.strictEqual((await get(path, { ...headers(path), key: randomUUID() })).status, 401)
      const text = `${wall}GET/trade-api/v2${path}`
      const ed = sign(null, Buffer.from(text), edwards.privateKey).toString("base64")
      assert.strictEqual((await get(path, { key: "ed", timestamp: String(wall), signature: ed })).status, 200)
      assert.strictEqual((await get("/markets?limit=1", { ...headers("/x") })).status, 401)
    })
  )

  it.effect("bills ten tokens a call and refuses in a string", () =>
    Effect.promise(async () => {
      const { get, time } = exchange()
      const signed = headers("/exchange/status")
      const statuses: Array<number> = []
      for (let i = 0; i < 61; i++) statuses.push((await get("/exchange/status", signed)).status)
      assert.strictEqual(statuses.filter((status) => status === 200).length, 60)
      const refused = await get("/exchange/status", signed)
      assert.strictEqual(refused.status, 429)
      assert.strictEqual(refused.body, '{"error": "too many requests"}')
      time.now += 50
      assert.strictEqual((await get("/exchange/status", signed)).status, 200)
      assert.strictEqual((await get("/exchange/status", signed)).status, 429)
    })
  )

  it.effect("knows which filters of /markets go together", () =>
    Effect.promise(async () => {
      const { get } = exchange()
      const status = async (query: string) => (await get(`/markets?limit=1&${query}`)).status
      assert.strictEqual(
        details((await get("/markets?status=open,closed")).body),
        "only one status filter may be supplied"
      )
      assert.strictEqual(details((await get("/markets?status=active")).body), "invalid status filter")
      for (const good of [
        "status=open&min_created_ts=1",
        "status=closed&min_close_ts=1",
        "max_close_ts=1",
        "status=settled&min_settled_ts=1",
        "min_updated_ts=1",
        "min_updated_ts=1&mve_filter=exclude&series_ticker=KXBTCD",
        "status=paused"
      ])
        assert.strictEqual(await status(good), 200, good)
      for (const bad of [
        "status=closed&min_created_ts=1",
        "status=open&min_close_ts=1",
        "status=open&max_settled_ts=1",
        "min_close_ts=1&min_settled_ts=1",
        "min_updated_ts=1&status=open",
        "min_updated_ts=1&series_ticker=KXBTCD",
        "mve_filter=no",
        "cursor=abc"
      ])
        assert.strictEqual(await status(bad), 400, bad)
      assert.strictEqual((await get("/markets?limit=1001")).status, 400)
      assert.strictEqual((await get("/markets?limit=0")).status, 400)
    })
  )

  it.effect("pages through every open market once, with cursors bound to their filters", () =>
    Effect.promise(async () => {
      const { get } = exchange()
      const seen: Array<string> = []
      let cursor = ""
      do {
        const page = JSON.parse(
          (await get(`/markets?status=open&mve_filter=exclude&limit=100&cursor=${encodeURIComponent(cursor)}`)).body
        )
        for (const market of page.markets) {
          seen.push(market.ticker)
          assert.deepStrictEqual(Object.keys(market), Object.keys(market).sort())
          assert.strictEqual(market.status, "active")
        }
        cursor = page.cursor
        if (cursor !== "") assert.strictEqual((await get(`/markets?status=closed&cursor=${cursor}`)).status, 400)
      } while (cursor !== "")
      assert.isAbove(seen.length, 250)
      assert.strictEqual(new Set(seen).size, seen.length)
    })
  )

  it.effect("limits candles by the requested range and truncates whole events", () =>
    Effect.promise(async () => {
      const { get, world } = exchange()
      const event = world.catalog.events.find(
        (one) => one.series.ticker === "KXBTC" && one.openMs < start && one.closeMs > start
      )!
      const ticker = event.markets[20]!.ticker
      const single = await get(
        `/series/KXBTC/markets/${ticker}/candlesticks?start_ts=0&end_ts=15680638&period_interval=1`
      )
      assert.strictEqual(
        details(single.body),
        "requested time range with candlesticks: 261343.966667, max candlesticks: 5000"
      )
      const many = Array.from({ length: 25 }, (_, i) => event.markets[i]!.ticker).join(",")
      const batch = await get(`/markets/candlesticks?market_tickers=${many}&start_ts=0&end_ts=86400&period_interval=1`)
      assert.strictEqual(
        details(batch.body),
        "requested candlesticks across all markets: 36000, max candlesticks: 10000"
      )
      const from = event.openMs / 1000
      const whole = JSON.parse(
        (
          await get(
            `/series/KXBTC/events/${event.ticker}/candlesticks?start_ts=${from}&end_ts=${from + 86400}&period_interval=1`
          )
        ).body
      )
      assert.strictEqual(whole.market_tickers.length, 62)
      assert.strictEqual(whole.adjusted_end_ts, from + Math.floor(5000 / 62) * 60)
      const latest = JSON.parse(
        (
          await get(
            `/series/KXBTC/markets/${ticker}/candlesticks?start_ts=${start / 1000 + 7}&end_ts=${start / 1000 + 60}&period_interval=1&include_latest_before_start=true`
          )
        ).body
      )
      assert.strictEqual(latest.candlesticks[0].end_period_ts, start / 1000 + 60)
      assert.isFalse("open_dollars" in latest.candlesticks[0].price)
    })
  )

  it.effect("ends daily candles at New York's midnight", () =>
    Effect.promise(async () => {
      const { get, world } = exchange()
      const event = world.catalog.events.find(
        (one) => one.series.ticker === "KXHIGHNY" && one.closeMs > start - 30 * 3_600_000
      )!
      const ticker = event.markets[2]!.ticker
      const { candlesticks } = JSON.parse(
        (
          await get(
            `/series/KXHIGHNY/markets/${ticker}/candlesticks?start_ts=${start / 1000 - 9 * 86400}&end_ts=${start / 1000 + 86400}&period_interval=1440`
          )
        ).body
      )
      assert.isAtLeast(candlesticks.length, 2)
      for (const candle of candlesticks) assert.strictEqual(candle.end_period_ts % 86400, 4 * 3600)
    })
  )

  it.effect("moves markets into history when the cutoff jumps", () =>
    Effect.promise(async () => {
      const { get, world } = exchange()
      const event = world.catalog.events.find(
        (one) => one.series.ticker === "KXBTCD" && one.closeMs > start - 20 * 3_600_000
      )!
      const ticker = event.markets[0]!.ticker
      assert.strictEqual((await get(`/markets/${ticker}`)).status, 200)
      assert.strictEqual((await get(`/historical/markets/${ticker}`)).status, 404)
      world.marketCutoffMs = start - 3_600_000
      assert.strictEqual((await get(`/markets/${ticker}`)).status, 404)
      assert.strictEqual((await get(`/historical/markets/${ticker}`)).status, 200)
      const nested = JSON.parse((await get(`/events?tickers=${event.ticker}&with_nested_markets=true`)).body)
      assert.isFalse("markets" in nested.events[0])
    })
  )

  it.effect("redirects a trailing slash", () =>
    Effect.promise(async () => {
      const reply = await exchange().get("/markets/?limit=1")
      assert.strictEqual(reply.status, 301)
      assert.strictEqual(reply.headers?.["location"], "/trade-api/v2/markets?limit=1")
    })
  )
})
