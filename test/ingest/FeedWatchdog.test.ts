import { assert, describe, it } from "@effect/vitest"
import { FeedWatchdog } from "../../src/ingest/FeedWatchdog.ts"
import { Random } from "../../src/simulator/Random.ts"

const second = 1_000
const hour = 3_600 * second

/** Asks every second for `seconds`, with frames by chance at a rate a second; returns when it was suspected first. */
const run = (
  watchdog: FeedWatchdog,
  random: Random,
  options: { readonly from: number; readonly seconds: number; readonly rate: number }
): number | undefined => {
  const { from, rate, seconds } = options
  let next = from - (Math.log(1 - random.next()) / rate) * second
  for (let now = from + second; now <= from + seconds * second; now += second) {
    let frames = 0
    while (next <= now) {
      frames++
      next -= (Math.log(1 - random.next()) / rate) * second
    }
    if (frames > 0) watchdog.data(frames, now)
    if (watchdog.isSuspect(now)) return now - from
  }
  return undefined
}

describe("FeedWatchdog", () => {
  it("never suspects a feed that only is quiet, at any rate", () => {
    for (const [seed, rate] of [0.001, 0.01, 0.1, 0.3, 1, 10, 50].entries()) {
      const watchdog = new FeedWatchdog(60 * second, 0)
      watchdog.subscribed(200, 0)
      const days = rate > 1 ? 0.2 : 3
      assert.isUndefined(run(watchdog, new Random(seed), { from: 0, seconds: days * 86_400, rate }), `rate ${rate}`)
    }
  })

  it("suspects a feed that stopped, as soon as its silence cannot be chance", () => {
    for (const [seed, rate] of [0.1, 1, 10, 200].entries()) {
      const watchdog = new FeedWatchdog(60 * second, 0)
      watchdog.subscribed(200, 0)
      const random = new Random(seed)
      const learnt = rate > 100 ? 2_000 : 20_000
      assert.isUndefined(run(watchdog, random, { from: 0, seconds: learnt, rate }))
      const silent = run(watchdog, random, { from: learnt * second, seconds: 2_000, rate: 1e-12 })
      assert.isDefined(silent, `rate ${rate}`)
      assert.isAtMost(silent, Math.max(62, 60 / rate) * second)
    }
  })

  it("markets that close take their frames with them", () => {
    const watchdog = new FeedWatchdog(60 * second, 0)
    watchdog.subscribed(1000, 0)
    assert.isUndefined(run(watchdog, new Random(1), { from: 0, seconds: 3_600, rate: 20 }))
    watchdog.subscribed(10, hour)
    assert.isUndefined(run(watchdog, new Random(2), { from: hour, seconds: 3_600, rate: 0.2 }))
    watchdog.subscribed(0, 2 * hour)
    assert.isFalse(watchdog.isSuspect(9 * hour))
  })

  it("answers to what was asked teach it nothing, and after a real silence it expects nothing", () => {
    const asked = new FeedWatchdog(60 * second, 0)
    asked.subscribed(1000, 0)
    for (let now = 0; now < 100 * second; now += second) asked.answered(now)
    assert.isFalse(asked.isSuspect(9 * hour))
    const quiet = new FeedWatchdog(60 * second, 0)
    quiet.subscribed(100, 0)
    run(quiet, new Random(5), { from: 0, seconds: 1_000, rate: 10 })
    assert.isTrue(quiet.isSuspect(1_200 * second))
    quiet.forget(1_200 * second)
    assert.isFalse(quiet.isSuspect(9 * hour))
  })
})
