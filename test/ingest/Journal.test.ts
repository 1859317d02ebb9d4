import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { Journal } from "../../src/ingest/Journal.ts"
import * as JournalRecord from "../../src/ingest/JournalRecord.ts"
import { Random } from "../../src/simulator/Random.ts"

const soon = Schedule.spaced("10 millis")

const canMount = ((): boolean => {
  const at = fs.mkdtempSync(path.join(os.tmpdir(), "mount-"))
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "mount-test", at], { stdio: "ignore" })
    execFileSync("umount", [at])
    return true
  } catch {
    return false
  } finally {
    fs.rmSync(at, { recursive: true })
  }
})()

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
    const { buffer, records } = JournalRecord.encode(frames(...payloads), { segment: 1, offset: 10 })
    const whole = JournalRecord.decode(buffer, { segment: 1, offset: 10 }, 1_000)
    assert.deepStrictEqual(
      whole.records.map(({ end }) => end),
      records.map(({ end }) => end)
    )
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
    const { buffer } = JournalRecord.encode(frames("one", "two"), { segment: 1, offset: 0 })
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

  it.effect("reads what it holds in memory as it reads the files, from any position and however far behind", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const random = new Random(7)
      const payloads = Array.from({ length: 600 }, (_, index) => `${index}-${"é".repeat(random.int(60))}`)
      const open = (tailBytes: number) => Journal.layer({ directory, segmentBytes: 1_500, syncMillis: 50, tailBytes })
      yield* Effect.gen(function* () {
        const journal = yield* Journal
        let near = yield* journal.oldest
        let far = near
        const read = { near: [] as Array<string>, far: [] as Array<string> }
        let at = 0
        while (read.far.length < payloads.length) {
          const some = payloads.slice(at, at + random.int(9))
          at += some.length
          yield* journal.append(frames(...some))
          const close = yield* journal.read(near, 1 + random.int(7))
          read.near.push(...close.records.map(({ payload }) => payload))
          near = close.next
          if (random.next() > 0.3 && at < payloads.length) continue
          const behind = yield* journal.read(far, 1 + random.int(40))
          read.far.push(...behind.records.map(({ payload }) => payload))
          far = behind.next
        }
        while (read.near.length < payloads.length) {
          const close = yield* journal.read(near, 50)
          read.near.push(...close.records.map(({ payload }) => payload))
          near = close.next
        }
        assert.deepStrictEqual(read.near, payloads)
        assert.deepStrictEqual(read.far, payloads)
        assert.deepStrictEqual(near, far)
      }).pipe(Effect.provide(open(1_000)))
      assert.deepStrictEqual((yield* readAll.pipe(Effect.provide(open(1_000)))).payloads, payloads)
    })
  )

  it.live("compresses what is stored and reads it on, also after a crash between two files", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const payloads = Array.from({ length: 40 }, (_, index) => `${index}-${"w".repeat(300)}`)
      const plain = (name: string) => name.endsWith(".journal")
      const packed = (name: string) => name.endsWith(".gz")
      const files = Effect.sync(() => fs.readdirSync(directory))
      const open = Journal.layer({ directory, segmentBytes: 2_000, syncMillis: 50, compress: true, tailBytes: 0 })
      yield* Effect.gen(function* () {
        yield* appendAll(...payloads)
        const journal = yield* Journal
        yield* journal.retire(yield* journal.end, 0)
        yield* files.pipe(Effect.repeat({ until: (names) => names.filter(plain).length === 1, schedule: soon }))
        assert.isAbove((yield* files).filter(packed).length, 3)
        assert.deepStrictEqual((yield* readAll).payloads, payloads)
        assert.strictEqual(yield* journal.retire({ segment: 3, offset: 0 }, Number.MAX_SAFE_INTEGER), 2)
        assert.strictEqual((yield* journal.oldest).segment, 3)
      }).pipe(Effect.provide(open))
      const first = (yield* files).filter(packed)[0]!
      const whole = fs.readFileSync(path.join(directory, first))
      fs.writeFileSync(path.join(directory, first.replace(".gz", "")), gunzipSync(whole))
      fs.writeFileSync(path.join(directory, `${first}.part`), "half")
      yield* Effect.gen(function* () {
        assert.deepStrictEqual((yield* readAll).payloads, payloads.slice(-(yield* readAll).payloads.length))
        assert.isFalse((yield* files).some((name) => name.endsWith(".part")))
        const journal = yield* Journal
        yield* journal.retire(yield* journal.end, 0)
        yield* files.pipe(Effect.repeat({ until: (names) => names.filter(plain).length === 1, schedule: soon }))
      }).pipe(Effect.provide(open))
    })
  )

  it.effect("skips damaged bytes in the middle and reads on", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const stamped = (payload: string) => [
        { kind: "frame", receivedMillis: 1_700_000_000_000, monotonicMillis: 1, payload } as const
      ]
      yield* Journal.use((journal) =>
        Effect.forEach(["one", "two", "three", "four"], (payload) => journal.append(stamped(payload)))
      ).pipe(Effect.provide(layer(directory, 100_000)))
      const [segment] = fs.readdirSync(directory).filter((name) => name.endsWith(".journal"))
      const bytes = fs.readFileSync(path.join(directory, segment!))
      bytes.fill(0xff, bytes.indexOf("two") - 20, bytes.indexOf("two"))
      fs.writeFileSync(path.join(directory, segment!), bytes)
      assert.deepStrictEqual((yield* readAll.pipe(Effect.provide(layer(directory)))).payloads, ["one", "three", "four"])
    })
  )

  it.effect("leaves no empty segment behind, and goes on in the next number", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      yield* appendAll("one").pipe(Effect.provide(layer(directory)))
      for (let time = 0; time < 3; time++) yield* Effect.void.pipe(Effect.provide(Layer.fresh(layer(directory))))
      assert.strictEqual(fs.readdirSync(directory).filter((name) => name.endsWith(".journal")).length, 1)
      yield* appendAll("two").pipe(Effect.provide(layer(directory)))
      assert.deepStrictEqual((yield* readAll.pipe(Effect.provide(layer(directory)))).payloads, ["one", "two"])
    })
  )

  it.effect("makes its identity anew when a crash left an empty one", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      fs.writeFileSync(path.join(directory, "id"), "")
      const id = yield* Journal.use((journal) => Effect.succeed(journal.id)).pipe(Effect.provide(layer(directory)))
      assert.match(id, /^[0-9a-f]{32}$/)
    })
  )

  it.live.skipIf(!canMount)(
    `waits for room on a full disk, says so, and loses nothing${canMount ? "" : " (needs root and Debian's package mount)"}`,
    () =>
      Effect.gen(function* () {
        const directory = yield* temporary
        yield* Effect.acquireRelease(
          Effect.sync(() => execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "journal-test", directory])),
          () => Effect.sync(() => execFileSync("umount", [directory]))
        )
        yield* Effect.gen(function* () {
          const journal = yield* Journal
          yield* Effect.forkScoped(journal.syncFailed)
          const filler = path.join(directory, "filler")
          fs.writeFileSync(filler, Buffer.alloc(200_000))
          const payloads = Array.from({ length: 100 }, (_, index) => `${index}-${"v".repeat(1_000)}`)
          const writing = yield* Effect.forkScoped(appendAll(...payloads))
          const blocked = yield* journal.blocked.pipe(Effect.repeat({ until: Option.isSome, schedule: soon }))
          assert.isTrue(Option.isSome(blocked))
          assert.isUndefined(writing.pollUnsafe())
          // It would fit, and would be before what came earlier.
          const small = yield* Effect.forkScoped(appendAll("small"))
          yield* Effect.sleep("50 millis")
          assert.isTrue(Option.isSome(yield* journal.blocked))
          assert.notInclude((yield* readAll).payloads, "small")
          fs.rmSync(filler)
          yield* Fiber.join(writing)
          yield* Fiber.join(small)
          assert.isTrue(Option.isNone(yield* journal.blocked))
          const kept = (yield* readAll).payloads
          assert.deepStrictEqual(
            kept.filter((payload) => payload !== "small"),
            payloads
          )
          assert.strictEqual(kept.length, payloads.length + 1)
        }).pipe(
          Effect.scoped,
          Effect.provide(Journal.layer({ directory, segmentBytes: 20_000, syncMillis: 20, tailBytes: 0 }))
        )
      })
  )

  it.live("does not append while the disk has less room than it must have", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      yield* Effect.gen(function* () {
        const journal = yield* Journal
        yield* Effect.forkScoped(journal.syncFailed)
        yield* Effect.sleep("50 millis")
        const writing = yield* Effect.forkScoped(appendAll("one"))
        const blocked = yield* journal.blocked.pipe(Effect.repeat({ until: Option.isSome, schedule: soon }))
        assert.match(Option.getOrThrow(blocked).reason, /MB free/)
        assert.deepStrictEqual((yield* readAll).payloads, [])
        yield* Fiber.interrupt(writing)
      }).pipe(
        Effect.scoped,
        Effect.provide(
          Journal.layer({ directory, segmentBytes: 1_000, syncMillis: 20, minFreeBytes: Number.MAX_SAFE_INTEGER })
        )
      )
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
