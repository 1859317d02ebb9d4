import { assert, describe, it } from "@effect/vitest"
import { type Channel, type Evidence, type Gap, isClean, judge, type Testimony } from "./Verdict.ts"

const counts = (frames: Readonly<Record<string, number>>) => {
  const out = new Map<string, Map<string, number>>()
  for (const [name, count] of Object.entries(frames)) {
    const [market = "", key = ""] = name.split(" ")
    out.set(market, (out.get(market) ?? new Map<string, number>()).set(key, count))
  }
  return out
}

type Doctored = Partial<Record<Exclude<keyof Testimony, "times">, Readonly<Record<string, number>>>> & {
  readonly times?: Readonly<Record<string, number>>
}

const testimony = (doctored: Doctored = {}): Testimony => ({
  sent: counts(doctored.sent ?? {}),
  dropped: counts(doctored.dropped ?? {}),
  received: counts(doctored.received ?? {}),
  repeated: counts(doctored.repeated ?? {}),
  stored: counts(doctored.stored ?? {}),
  quarantined: counts(doctored.quarantined ?? {}),
  times: new Map(Object.entries(doctored.times ?? {}).map(([name, at]) => [name.replace(" ", "\t"), at]))
})

const gap = (fields: Partial<Gap>): Gap => ({
  feed: "all",
  shard: "event/12",
  slots: [3],
  market: undefined,
  fromMillis: 100,
  toMillis: 200,
  ...fields
})

const evidence = (
  doctored: Partial<Record<Channel, Doctored>>,
  gaps: ReadonlyArray<Gap> = [],
  isShared = false
): Evidence => ({
  channels: {
    ticker: testimony(doctored.ticker),
    trade: testimony(doctored.trade),
    orderbook_delta: testimony(doctored.orderbook_delta),
    lifecycle: testimony(doctored.lifecycle)
  },
  gaps,
  slotOf: (_, market) => (market === "A" ? 3 : 4),
  isShared
})

const found = (given: Evidence) => {
  const { duplicated, lost, missing, unexplained } = judge(given)
  return { lost, duplicated, unexplained, missing }
}

const clean = { lost: 0, duplicated: 0, unexplained: 0, missing: 0 }
const whole = {
  sent: { "A 150": 2, "B 151": 1 },
  received: { "A 150": 2, "B 151": 1 },
  stored: { "A 150": 2, "B 151": 1 }
}

describe("the verdict on a chaos scenario", () => {
  it("is clean when all that was sent is stored as often as it was sent", () => {
    const verdict = judge(evidence({ ticker: whole, trade: { ...whole } }))
    assert.deepInclude(verdict, { sent: 6, stored: 6, lost: 0, duplicated: 0, unexplained: 0, gaps: 0 })
    assert.isTrue(isClean(verdict))
  })

  it("finds a frame that was received and is not stored, also inside a gap", () => {
    const doctored = { ticker: { ...whole, stored: { "A 150": 1, "B 151": 1 } } }
    assert.deepStrictEqual(found(evidence(doctored)), { ...clean, lost: 1, unexplained: 1 })
    assert.deepStrictEqual(found(evidence(doctored, [gap({})])), { ...clean, lost: 1, missing: 1 })
    assert.isFalse(isClean(judge(evidence(doctored, [gap({})]))))
  })

  it("finds a frame that is stored more often than it was sent, or was never sent", () => {
    assert.deepStrictEqual(found(evidence({ ticker: { ...whole, stored: { "A 150": 3, "B 151": 1 } } })), {
      ...clean,
      duplicated: 1
    })
    assert.deepStrictEqual(found(evidence({ trade: { stored: { "A x": 1 } } })), { ...clean, duplicated: 1 })
  })

  it("finds a hole that no gap names: by time, slot, market and feed", () => {
    const sent = { sent: { "A 150": 1, "B 150": 1 } }
    const unexplained = (gaps: ReadonlyArray<Gap>) => found(evidence({ ticker: sent }, gaps)).unexplained
    assert.strictEqual(unexplained([]), 2)
    assert.strictEqual(unexplained([gap({})]), 1)
    assert.strictEqual(unexplained([gap({ slots: [3, 4] })]), 0)
    assert.strictEqual(unexplained([gap({ slots: [3, 4], toMillis: undefined })]), 0)
    assert.strictEqual(unexplained([gap({ slots: undefined, market: "B" })]), 1)
    assert.strictEqual(unexplained([gap({ slots: undefined })]), 0)
    assert.strictEqual(unexplained([gap({ slots: [3, 4], fromMillis: 151 })]), 2)
    assert.strictEqual(unexplained([gap({ slots: [3, 4], toMillis: 149 })]), 2)
    assert.strictEqual(unexplained([gap({ slots: [3, 4], feed: "trade" })]), 2)
    assert.strictEqual(unexplained([gap({ slots: [3, 4], feed: "ticker" })]), 0)
  })

  it("knows what a fault kept back or a lost connection missed", () => {
    const missed = { trade: { ...whole, dropped: { "A x": 1 }, times: { "A x": 150 } } }
    assert.strictEqual(found(evidence(missed)).unexplained, 1)
    assert.deepStrictEqual(found(evidence(missed, [gap({})])), { ...clean, missing: 1 })
    const lifecycle = { lifecycle: { dropped: { "B created": 1 }, times: { "B created": 150 } } }
    assert.strictEqual(found(evidence(lifecycle, [gap({ slots: [4] })])).unexplained, 1)
    assert.strictEqual(found(evidence(lifecycle, [gap({ slots: [0], feed: "market_lifecycle_v2" })])).unexplained, 0)
  })

  it("does not ask for a repeated frame twice, and not for one in quarantine", () => {
    const repeated = { sent: { "A x": 2 }, received: { "A x": 2 }, repeated: { "A x": 1 }, stored: { "A x": 1 } }
    assert.deepStrictEqual(found(evidence({ trade: repeated })), clean)
    assert.deepStrictEqual(found(evidence({ trade: { ...repeated, stored: { "A x": 2 } } })), {
      ...clean,
      duplicated: 1
    })
    const aside = { sent: { "A 150": 1 }, received: { "A 150": 1 }, quarantined: { "A 150": 1 } }
    assert.deepStrictEqual(found(evidence({ ticker: aside })), clean)
  })

  it("when two processes were sent the same frame, it is stored once", () => {
    const both = { sent: { "A 150": 2 }, received: { "A 150": 1 }, stored: { "A 150": 1 } }
    assert.deepStrictEqual(found(evidence({ ticker: both }, [], true)), clean)
    assert.deepStrictEqual(found(evidence({ ticker: { ...both, stored: { "A 150": 2 } } }, [], true)), {
      ...clean,
      duplicated: 1
    })
    assert.deepStrictEqual(found(evidence({ ticker: { ...both, stored: {} } }, [], true)), {
      ...clean,
      lost: 1,
      unexplained: 1
    })
    assert.strictEqual(found(evidence({ ticker: { sent: { "A 150": 1 } } }, [], true)).unexplained, 1)
  })
})
