import { createHash } from "node:crypto"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Random } from "../../src/simulator/Random.ts"
import { leasedSlots, ShardLeases } from "../../src/store/ShardLeases.ts"
import { TestDatabase } from "../support/Database.ts"

const Leases = ShardLeases.layer.pipe(TestDatabase.under("ws"))
const ttl = 60

const member = (name: string, journal = name) => ({ instance: name, journal, host: "here", pid: 1 })

/** What a member that stopped beating looks like once its time is over. */
const outlive = (instance: string) =>
  PgClient.PgClient.use((sql) =>
    Effect.andThen(
      sql`update shard_leases set expires_at = clock_timestamp() - interval '1 second' where instance = ${instance}`,
      sql`update ws_members set seen_at = clock_timestamp() - ${ttl + 1} * interval '1 second' where instance = ${instance}`
    )
  )

const beat = Effect.fnUntraced(function* (instance: string, journal?: string) {
  const held = yield* ShardLeases.use((leases) => leases.heartbeat(member(instance, journal), ttl))
  return held
})
const slots = (held: ReadonlyArray<{ readonly slot: number }>) => held.map(({ slot }) => slot)
const all = Array.from({ length: leasedSlots }, (_, slot) => slot)

describe("ShardLeases", () => {
  it.live("one process holds everything; of two, each half, once the first gave its surplus away", () =>
    Effect.gen(function* () {
      const leases = yield* ShardLeases
      assert.deepStrictEqual(slots(yield* beat("a")), all)
      assert.deepStrictEqual(yield* beat("b"), [])
      const surplus = (yield* beat("a")).filter((lease) => lease.surplus)
      assert.deepStrictEqual(slots(surplus), [6, 7, 8, 9, 10, 11])
      yield* leases.release("a", slots(surplus))
      assert.deepStrictEqual(slots(yield* beat("b")), [6, 7, 8, 9, 10, 11])
      assert.deepStrictEqual(slots(yield* beat("a")), [0, 1, 2, 3, 4, 5])
    }).pipe(Effect.provide(Leases))
  )

  it.live("what a dead process held is taken when its lease is over, with a higher fencing token", () =>
    Effect.gen(function* () {
      const before = yield* beat("a")
      yield* beat("b")
      assert.deepStrictEqual(yield* beat("b"), [])
      yield* outlive("a")
      const after = yield* beat("b")
      assert.deepStrictEqual(slots(after), all)
      assert.isTrue(after.every(({ fence, slot }) => fence > before[slot]!.fence))
      assert.deepStrictEqual(yield* beat("a"), [])
    }).pipe(Effect.provide(Leases))
  )

  it.live("a process that starts again with its journal has its slots back at once", () =>
    Effect.gen(function* () {
      yield* beat("first", "j")
      assert.deepStrictEqual(slots(yield* beat("second", "j")), all)
      assert.deepStrictEqual(yield* beat("other"), [])
    }).pipe(Effect.provide(Leases))
  )

  it.live("a process that was away longer than its lease keeps what nobody took", () =>
    Effect.gen(function* () {
      yield* beat("a")
      yield* outlive("a")
      assert.deepStrictEqual(slots(yield* beat("a")), all)
    }).pipe(Effect.provide(Leases))
  )

  it.live("leaving frees everything at once and tells the others", () =>
    Effect.gen(function* () {
      const leases = yield* ShardLeases
      yield* beat("a")
      yield* beat("b")
      yield* leases.leave("a")
      assert.deepStrictEqual(slots(yield* beat("b")), all)
    }).pipe(Effect.provide(Leases))
  )

  it.live("whatever happens to processes, no slot has two holders, tokens only grow, and calm brings fair parts", () =>
    Effect.gen(function* () {
      const leases = yield* ShardLeases
      const random = new Random(11)
      const believed = new Map<string, ReadonlySet<number>>()
      const fences = new Map<number, number>()
      const names = ["a", "b", "c", "d", "e"]
      const heartbeat = Effect.fnUntraced(function* (name: string) {
        const held = yield* beat(name)
        for (const { fence, slot } of held) {
          assert.isAtLeast(fence, fences.get(slot) ?? 0)
          fences.set(slot, fence)
          for (const [other, theirs] of believed) if (other !== name) assert.isFalse(theirs.has(slot), `slot ${slot}`)
        }
        const kept = held.filter(({ surplus }) => !surplus)
        if (random.int(3) > 0) {
          yield* leases.release(name, slots(held.filter(({ surplus }) => surplus)))
          believed.set(name, new Set(slots(kept)))
        } else believed.set(name, new Set(slots(held)))
      })
      for (let step = 0; step < 300; step++) {
        const name = names[random.int(names.length)]!
        const what = random.int(10)
        if (what < 7) yield* heartbeat(name)
        else if (what < 8) {
          yield* leases.leave(name)
          believed.delete(name)
        } else {
          yield* outlive(name)
          believed.delete(name)
        }
      }
      for (let round = 0; round < 4; round++)
        for (const name of names) {
          const held = yield* beat(name)
          yield* leases.release(name, slots(held.filter(({ surplus }) => surplus)))
        }
      const parts = yield* Effect.forEach(names, (name) => beat(name))
      assert.deepStrictEqual(
        parts.flatMap(slots).sort((a, b) => a - b),
        all
      )
      assert.deepStrictEqual(
        parts.map((part) => part.length).sort((a, b) => a - b),
        [2, 2, 2, 3, 3]
      )
    }).pipe(Effect.provide(Leases))
  )

  it.live("a key has the same slot here and everywhere", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      for (const key of ["KXBTCD-26AUG2417", "KXINXU-26OCT02H1100", "Ünïcode.99", ""]) {
        const [row] = yield* sql<{ slot: number }>`select market_slot(${key}, 12) as slot`
        const digest = createHash("md5").update(key).digest("hex").slice(0, 8)
        assert.strictEqual(row?.slot, Number.parseInt(digest, 16) % 12)
      }
    }).pipe(Effect.provide(Leases))
  )
})
