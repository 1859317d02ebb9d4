import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { noFaults, type PartialFaults, withFaults } from "../../src/simulator/Faults.ts"
import { scenarios } from "../../src/simulator/Scenarios.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { type Client, connect, fetchJson, start } from "./Support.ts"

const minute = 60_000

const exchange = (faults: PartialFaults = {}) =>
  Simulator.layer({ speed: 0, startMs: start, seed: 5, pingMillis: 50, strictness: { novelty: 0 }, faults })

const tally = (lines: string): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const line of lines.split("\n")) {
    const [ticker, key, count] = line.split("\t")
    if (count !== undefined) counts.set(`${ticker}\t${key}`, (counts.get(`${ticker}\t${key}`) ?? 0) + Number(count))
  }
  return counts
}
const total = (lines: string) => [...tally(lines).values()].reduce((sum, n) => sum + n, 0)

const ask = (client: Client, id: number, cmd: string, params?: unknown) =>
  client.ask(Object.assign({ id }, { cmd, params }))

/** A client that hears every ticker, trade and lifecycle message for some minutes; the exchange's ledger of them. */
const listen = Effect.fnUntraced(function* (minutes: number) {
  const simulator = yield* Simulator
  const client = yield* connect(simulator.wsUrl, simulator)
  yield* ask(client, 1, "subscribe", { channels: ["ticker", "trade", "market_lifecycle_v2"] })
  yield* simulator.control.advance(minutes * minute)
  yield* simulator.control.faults(null)
  yield* ask(client, 2, "list_subscriptions")
  const data = (type: string) => client.frames.filter((frame) => frame.type === type)
  return { simulator, client, data }
})

const tickerKeys = (frames: ReadonlyArray<Client["frames"][number]>) =>
  frames.map(({ msg }) => `${msg.market_ticker}\t${msg.ts_ms}`)

describe("the exchange's faults", () => {
  it.effect("a dropped frame leaves a hole in the sequence and a line in the ledger of the dropped", () =>
    Effect.gen(function* () {
      const { data, simulator } = yield* listen(5)
      const seqs = data("trade").map(({ seq }) => seq ?? 0)
      const holes = seqs.slice(1).reduce((sum, seq, at) => sum + (seq - (seqs[at] ?? 0) - 1), 0)
      const dropped = yield* simulator.control.dropped("trade")
      assert.isAbove(holes, 0)
      assert.isAtLeast(total(dropped), holes)
      const sent = tally(yield* simulator.control.sent("ticker"))
      assert.strictEqual(
        data("ticker").length,
        [...sent.values()].reduce((sum, n) => sum + n, 0)
      )
      for (const key of tally(yield* simulator.control.dropped("ticker")).keys()) assert.isFalse(sent.has(key))
    }).pipe(Effect.scoped, Effect.provide(exchange({ drop: { trade: { rate: 0.2 }, ticker: { rate: 0.1 } } })))
  )

  it.effect("a doubled frame comes twice with one sequence number, and is counted twice", () =>
    Effect.gen(function* () {
      const { data, simulator } = yield* listen(5)
      const keys = tickerKeys(data("ticker"))
      assert.isAbove(keys.length, new Set(keys).size)
      assert.strictEqual(keys.length, total(yield* simulator.control.sent("ticker")))
      const seqs = data("trade").map(({ seq }) => seq)
      assert.isAbove(seqs.length, new Set(seqs).size)
    }).pipe(Effect.scoped, Effect.provide(exchange({ duplicate: { trade: { rate: 0.3 }, ticker: { rate: 0.3 } } })))
  )

  it.effect("poison comes beside the good frames, never instead of one", () =>
    Effect.gen(function* () {
      const { client, data, simulator } = yield* listen(5)
      const poisoned = yield* simulator.control.poisoned
      assert.deepStrictEqual([...new Set([...tally(poisoned).keys()].map((key) => key.split("\t")[1]))].sort(), [
        "long-price",
        "no-market",
        "not-json",
        "nul-ticker",
        "unknown-type",
        "wrong-types"
      ])
      const good = new Set(tally(yield* simulator.control.sent("ticker")).keys())
      assert.strictEqual(tickerKeys(data("ticker")).filter((key) => good.has(key)).length, good.size)
      assert.isTrue(client.texts.some((text) => text.includes("\\u0000")))
    }).pipe(Effect.scoped, Effect.provide(exchange({ poison: { ticker: { rate: 0.3 } } })))
  )

  it.effect("what lost connections missed is in the ledger once, unless another connection hears it", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator
      const { control } = simulator
      const hear = Effect.gen(function* () {
        const client = yield* connect(simulator.wsUrl, simulator)
        yield* ask(client, 1, "subscribe", { channels: ["ticker"] })
      })
      const missed = Effect.map(control.dropped("ticker"), tally)
      yield* hear
      assert.strictEqual(yield* control.dropConnections(1006), 1)
      yield* control.advance(minute)
      const first = yield* missed
      assert.isAbove(first.size, 0)
      yield* hear
      yield* control.advance(minute)
      assert.deepStrictEqual(yield* missed, first)
      yield* control.dropConnections(1006)
      yield* control.advance(minute)
      const both = yield* missed
      assert.isAbove(both.size, first.size)
      assert.deepStrictEqual([...new Set(both.values())], [1])
    }).pipe(Effect.scoped, Effect.provide(exchange({ missedSeconds: 3600 })))
  )

  it.effect("the same seed strikes the same frames", () =>
    Effect.gen(function* () {
      const once = Effect.gen(function* () {
        const { simulator } = yield* listen(3)
        return yield* simulator.control.dropped("ticker")
      }).pipe(Effect.scoped, Effect.provide(exchange({ drop: { ticker: { rate: 0.1 } } })))
      const [first, second] = [yield* once, yield* once]
      assert.isAbove(total(first), 0)
      assert.deepStrictEqual(tally(first), tally(second))
    })
  )

  it.effect("a silent feed pings and acknowledges, and sends no data", () =>
    Effect.gen(function* () {
      const { client, data } = yield* listen(5)
      assert.deepStrictEqual(data("ticker"), [])
      assert.isTrue(client.frames.some(({ type }) => type === "subscribed"))
      yield* client.until(() => client.pings.length > 0)
    }).pipe(Effect.scoped, Effect.provide(exchange({ silent: { on: true } })))
  )

  it.effect("a half-open connection gets nothing more, and no close", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator
      const client = yield* connect(simulator.wsUrl, simulator)
      yield* ask(client, 1, "subscribe", { channels: ["ticker"] })
      assert.strictEqual(yield* simulator.control.halfOpen, 1)
      const before = client.frames.length
      yield* simulator.control.advance(5 * minute)
      const other = yield* connect(simulator.wsUrl, simulator)
      yield* ask(other, 1, "list_subscriptions")
      assert.deepStrictEqual([client.frames.length, client.closeCode], [before, undefined])
    }).pipe(Effect.scoped, Effect.provide(exchange()))
  )

  it.effect("commands are refused, or done and not acknowledged", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator
      const client = yield* connect(simulator.wsUrl, simulator)
      yield* simulator.control.faults({ commands: { refuse: { next: 1 }, refuseCode: 26 } })
      assert.strictEqual((yield* ask(client, 1, "subscribe", { channels: ["ticker"] })).msg.code, 26)
      yield* simulator.control.faults({ commands: { loseAck: { next: 1 } } })
      client.send({ id: 2, cmd: "subscribe", params: { channels: ["trade"] } })
      const list = yield* ask(client, 3, "list_subscriptions")
      assert.deepStrictEqual(list.msg, [{ channel: "trade", sid: 1 }])
      assert.isUndefined(client.frames.find(({ id }) => id === 2))
    }).pipe(Effect.scoped, Effect.provide(exchange()))
  )

  it.effect("a burst of markets is announced, opened and ticks, and says when", () =>
    Effect.gen(function* () {
      const { simulator } = yield* listen(1)
      yield* simulator.control.burst(25, 30, 5)
      yield* simulator.control.advance(3 * minute)
      const stamps = yield* simulator.control.burstStamps
      assert.strictEqual(stamps.length, 25)
      for (const { activated_ms, created_ms, first_tick_ms } of stamps) {
        assert.isDefined(created_ms)
        assert.isAtLeast(activated_ms ?? 0, (created_ms ?? 0) + 4_000)
        assert.isAtLeast(first_tick_ms ?? 0, activated_ms ?? 0)
      }
    }).pipe(Effect.scoped, Effect.provide(exchange()))
  )

  it.effect("stamps jump and come back; maintenance says so and refuses the feed", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator
      const client = yield* connect(simulator.wsUrl, simulator)
      yield* ask(client, 1, "subscribe", { channels: ["ticker"] })
      yield* simulator.control.faults({ clock: { on: true, jumpMs: -3_600_000 } })
      yield* simulator.control.advance(minute)
      yield* ask(client, 2, "list_subscriptions")
      const stamps = client.frames.filter(({ type }) => type === "ticker").map(({ msg }) => Number(msg.ts_ms))
      assert.isAbove(stamps.length, 0)
      for (const stamp of stamps) assert.isBelow(stamp, start)
      yield* simulator.control.faults({ maintenance: { on: true } })
      yield* simulator.control.advance(1_000)
      assert.strictEqual(yield* client.until(() => client.closeCode), 1001)
      const status = yield* Effect.promise(() => fetchJson(`${simulator.restUrl}/exchange/status`))
      assert.strictEqual(status.exchange_active, false)
    }).pipe(Effect.scoped, Effect.provide(exchange()))
  )

  it("every scenario is made of faults; a wrong one is told in one line", () => {
    for (const [name, faults] of Object.entries(scenarios))
      assert.isTrue(Result.isSuccess(withFaults({}, faults)), name)
    const wrong = withFaults(noFaults, { drop: { ticker: { rate: 2 } } })
    assert.isTrue(Result.isFailure(wrong) && !wrong.failure.includes("\n"))
    assert.isTrue(Result.isFailure(withFaults(noFaults, { nonsense: true })))
  })
})
