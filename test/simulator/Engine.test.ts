import { readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duplex } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Engine } from "../../src/simulator/Engine.ts"
import { type PartialOptions, withDefaults } from "../../src/simulator/Options.ts"
import { start } from "./Support.ts"

/** A socket that takes everything, or (stalled) nothing. */
const socket = (stalled: boolean) => {
  const chunks: Array<Buffer> = []
  const duplex = new Duplex({
    read: () => {},
    write: (chunk, _encoding, done) => {
      chunks.push(chunk)
      if (!stalled) done()
    }
  })
  return { chunks, duplex }
}

const exchange = (options: PartialOptions, stalled = false) => {
  const clock = { wall: 1_000_000 }
  const engine = new Engine(withDefaults({ startMs: start, seed: 5, ...options }), [], () => clock.wall)
  const { chunks, duplex } = socket(stalled)
  const connection = engine.connect(duplex, { close: () => {}, ping: () => {}, deafen: () => {} })
  const subscribe = (channels: ReadonlyArray<string>) =>
    connection.session.receive(JSON.stringify({ id: 1, cmd: "subscribe", params: { channels } }))
  const pass = (wallMillis: number) => {
    clock.wall += wallMillis
    do engine.tick()
    while (engine.lagging)
  }
  return { chunks, clock, connection, engine, pass, subscribe }
}

const sorted = (lines: string): ReadonlyArray<string> => lines.trimEnd().split("\n").sort()

describe("Engine", () => {
  it("tells the same history at any speed and under any load", () => {
    const fast = exchange({ speed: 60 })
    const slow = exchange({ speed: 7, rate: 0 })
    for (const one of [fast, slow]) one.subscribe(["ticker", "market_lifecycle_v2"])
    for (let i = 0; i < 30; i++) fast.pass(700)
    for (let i = 0; i < 9; i++) slow.pass(20_000)
    assert.strictEqual(fast.engine.world.now, slow.engine.world.now)
    assert.isAbove(sorted(fast.engine.sent("ticker")).length, 2_000)
    assert.deepStrictEqual(sorted(slow.engine.sent("ticker")), sorted(fast.engine.sent("ticker")))
    assert.deepStrictEqual(sorted(slow.engine.sent("lifecycle")), sorted(fast.engine.sent("lifecycle")))
    const loaded = exchange({ speed: 60, rate: 2_000 })
    loaded.subscribe(["ticker"])
    for (let i = 0; i < 30; i++) loaded.pass(700)
    const markets = (one: typeof fast) =>
      one.engine.world.catalog.event("KXBTCD-26AUG2412")!.markets.map((market) => one.engine.world.tape(market))
    assert.deepStrictEqual(
      markets(loaded).map(({ fills, tops }) => ({ fills, tops })),
      markets(fast).map(({ fills, tops }) => ({ fills, tops }))
    )
    const keys = sorted(loaded.engine.sent("ticker"))
    assert.isAbove(keys.length, 35_000)
    for (const key of keys) assert.isTrue(key.endsWith("\t1"), key)
    const natural = new Set(keys)
    for (const key of sorted(fast.engine.sent("ticker"))) assert.isTrue(natural.has(key), key)
  })

  it("holds frames for a client that does not read, then ends its subscriptions with 25", () => {
    const { chunks, connection, engine, pass, subscribe } = exchange({ bufferBytes: 300_000, speed: 60 }, true)
    subscribe(["ticker"])
    for (let i = 0; i < 200 && connection.outbox.waitingBytes < 200_000; i++) pass(1_000)
    const handed = engine.stats().frames["ticker"] ?? 0
    assert.isAtLeast(handed, 1)
    for (let i = 0; i < 100; i++) pass(1_000)
    assert.strictEqual(engine.stats().frames["ticker"], handed)
    assert.isBelow(connection.outbox.waitingBytes, 1_000)
    assert.isAbove(chunks.length, 0)
  })

  it.effect("stands still while paused and loses nothing", () =>
    Effect.promise(async () => {
      const still = exchange({ speed: 60 })
      const steady = exchange({ speed: 60 })
      for (const one of [still, steady]) one.subscribe(["ticker"])
      still.pass(2_000)
      await still.engine.pause()
      const before = still.engine.sent("ticker")
      still.pass(3_000)
      assert.strictEqual(still.engine.sent("ticker"), before)
      still.engine.resume()
      still.pass(1_000)
      steady.pass(6_000)
      assert.deepStrictEqual(sorted(still.engine.sent("ticker")), sorted(steady.engine.sent("ticker")))
    })
  )

  it.effect("keeps its ledger in a file when asked to", () =>
    Effect.promise(async () => {
      const directory = await mkdtemp(join(tmpdir(), "ledger-"))
      const path = join(directory, "sent.tsv")
      const { engine, pass, subscribe } = exchange({ speed: 60, ledger: { _tag: "File", path } })
      subscribe(["ticker"])
      pass(2_000)
      const lines = engine.sent("ticker")
      engine.close()
      assert.strictEqual(sorted(lines).length, engine.stats().frames["ticker"])
      assert.match(readFileSync(path, "utf8"), /^ticker\tKX\S+\t\d{13}\t1\n/)
      await rm(directory, { recursive: true })
    })
  )
})
