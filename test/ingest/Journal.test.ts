import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Journal } from "../../src/ingest/Journal.ts"
import * as JournalRecord from "../../src/ingest/JournalRecord.ts"

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "journal-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
)
const layer = (directory: string, segmentBytes = 1_000) => Journal.layer({ directory, segmentBytes, syncMillis: 50 })
const frames = (...payloads: ReadonlyArray<string>) =>
  payloads.map((payload, index) => ({ kind: "frame", receivedMillis: index, monotonicMillis: index, payload }) as const)

const readAll = Effect.gen(function* () {
  const journal = yield* Journal
  let position = yield* journal.oldest
  const payloads: Array<string> = []
  while (true) {
    const { next, records } = yield* journal.read(position, 3)
    if (records.length === 0) return { payloads, position }
    payloads.push(...records.map(({ payload }) => payload))
    assert.deepStrictEqual(records.at(-1)!.end, next)
    position = next
  }
})
const appendAll = (...payloads: ReadonlyArray<string>) =>
  Journal.use((journal) => Effect.forEach(payloads, (payload) => journal.append(frames(payload)), { discard: true }))

describe("JournalRecord", () => {
  it.prop("reads back what it wrote, cut anywhere", [Schema.Array(Schema.String), Schema.Int], ([payloads, cut]) => {
    const buffer = JournalRecord.encode(frames(...payloads))
    const whole = JournalRecord.decode(buffer, { segment: 1, offset: 10 }, 1_000)
    const wellFormed = payloads.map((payload) => Buffer.from(payload).toString())
    assert.deepStrictEqual(
      whole.records.map(({ payload }) => payload),
      wellFormed
    )
    const at = buffer.length === 0 ? 0 : Math.abs(cut) % buffer.length
    const torn = JournalRecord.decode(buffer.subarray(0, at), { segment: 1, offset: 10 }, 1_000)
    assert.isTrue(torn.records.every((record, index) => record.payload === wellFormed[index]))
    assert.isTrue(torn.consumed <= at)
    assert.strictEqual(torn.tail, torn.consumed === at ? "none" : "more")
  })

  it("notices a flipped bit", () => {
    const buffer = JournalRecord.encode(frames("one", "two"))
    buffer[buffer.length - 1]! ^= 1
    const { records, tail } = JournalRecord.decode(buffer, { segment: 1, offset: 0 }, 10)
    assert.strictEqual(records.length, 1)
    assert.strictEqual(tail, "damaged")
  })
})

describe("Journal", () => {
  it.effect("reads in order across segments, while it is being written and by the next process", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const payloads = Array.from({ length: 100 }, (_, index) => `${index}-${"x".repeat(index)}`)
      yield* Effect.gen(function* () {
        yield* appendAll(...payloads)
        assert.deepStrictEqual((yield* readAll).payloads, payloads)
        assert.isAbove(fs.readdirSync(directory).length, 3)
      }).pipe(Effect.provide(layer(directory)))
      yield* Effect.gen(function* () {
        yield* appendAll("later")
        assert.deepStrictEqual((yield* readAll).payloads, [...payloads, "later"])
      }).pipe(Effect.provide(layer(directory)))
    })
  )

  it.effect("reads a record larger than its read buffer", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const large = "y".repeat(3_000_000)
      yield* Effect.gen(function* () {
        yield* appendAll("a", large, "b")
        const { payloads } = yield* readAll
        assert.deepStrictEqual(
          payloads.map(({ length }) => length),
          [1, 3_000_000, 1]
        )
      }).pipe(Effect.provide(layer(directory, 10_000_000)))
    })
  )

  it.effect("passes over the torn end that a crash left", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      yield* appendAll("one", "two").pipe(Effect.provide(layer(directory)))
      const segment = path.join(
        directory,
        fs
          .readdirSync(directory)
          .filter((name) => name.endsWith(".journal"))
          .at(-1)!
      )
      fs.truncateSync(segment, fs.statSync(segment).size - 2)
      yield* Effect.gen(function* () {
        yield* appendAll("three")
        assert.deepStrictEqual((yield* readAll).payloads, ["one", "three"])
      }).pipe(Effect.provide(layer(directory)))
    })
  )

  it.effect("keeps its identity, and deletes only segments that are stored and old", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const first = yield* Journal.use(({ id }) => Effect.succeed(id)).pipe(Effect.provide(layer(directory)))
      yield* Effect.gen(function* () {
        const journal = yield* Journal
        assert.strictEqual(journal.id, first)
        yield* appendAll(...Array.from({ length: 20 }, () => "z".repeat(500)))
        const { position } = yield* readAll
        assert.strictEqual(yield* journal.retire(position, 0), 0)
        const removed = yield* journal.retire({ segment: 5, offset: 0 }, Number.MAX_SAFE_INTEGER)
        assert.strictEqual(removed, 4)
        assert.strictEqual((yield* journal.oldest).segment, 5)
      }).pipe(Effect.provide(layer(directory)))
    })
  )

  it.effect("two directories are two journals", () =>
    Effect.gen(function* () {
      const id = Effect.flatMap(temporary, (directory) =>
        Journal.use((journal) => Effect.succeed(journal.id)).pipe(Effect.provide(Layer.fresh(layer(directory))))
      )
      assert.notStrictEqual(yield* id, yield* id)
    })
  )
})
