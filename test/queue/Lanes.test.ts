import { assert, describe, it } from "@effect/vitest"
import { Lanes } from "../../src/queue/Lanes.ts"
import { type ClaimedRow, priorities } from "../../src/store/QueueJobs.ts"

const job = (position: number, priority = 5): ClaimedRow => ({
  id: String(position),
  fence: 1,
  type: "a",
  payload: {},
  priority,
  position,
  attempt: 1,
  maxAttempts: 5,
  waitedSeconds: 0
})
const reached = (lanes: Lanes, priority = 5) => lanes.lanes(false).find((lane) => lane.priority === priority)?.after

describe("Lanes", () => {
  it("are one a priority and type, the most urgent first, read from the start by a full search", () => {
    const lanes = new Lanes(["a", "b"])
    assert.strictEqual(lanes.lanes(false).length, 2 * priorities)
    assert.deepStrictEqual(
      lanes.lanes(false).map(({ priority }) => priority),
      lanes
        .lanes(false)
        .map(({ priority }) => priority)
        .toSorted((x, y) => x - y)
    )
    lanes.found({ newestPosition: 50, jobs: [] }, 1, false)
    assert.isTrue(lanes.lanes(false).every((lane) => lane.after === 50))
    assert.isTrue(lanes.lanes(true).every((lane) => lane.after === 0))
  })

  it("go on after what was claimed, only in the lanes that it came from", () => {
    const lanes = new Lanes(["a"])
    lanes.found({ newestPosition: 50, jobs: [job(3), job(7)] }, 2, false)
    assert.deepStrictEqual([reached(lanes), reached(lanes, 4)], [7, 0])
    lanes.found({ newestPosition: 50, jobs: [job(9, 4)] }, 1, false)
    assert.deepStrictEqual([reached(lanes), reached(lanes, 4)], [7, 9])
  })

  it("go back to where a full search came upon jobs that had been passed", () => {
    const lanes = new Lanes(["a"])
    lanes.found({ newestPosition: 500, jobs: [] }, 8, false)
    lanes.found({ newestPosition: 500, jobs: [job(1), job(2)] }, 2, true)
    assert.strictEqual(reached(lanes), 2)
    lanes.found({ newestPosition: 500, jobs: [job(3)] }, 2, false)
    assert.strictEqual(reached(lanes), 500)
  })

  it("are searched from the start for a hundredth of the time, at most twenty times a second, at least once a minute", () => {
    const lanes = new Lanes(["a"])
    for (const [took, wait] of [
      [0, 50],
      [3, 300],
      [5000, 60_000]
    ] as const) {
      lanes.searched(1000, took)
      assert.strictEqual(lanes.fullAt, 1000 + wait)
    }
  })
})
