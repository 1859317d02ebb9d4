import { randomUUID } from "node:crypto"
import * as os from "node:os"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import { reconnectBackoff } from "../kalshi/Supervise.ts"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import type { MarketShare } from "../store/ActiveMarkets.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { leasedSlots, ShardLeases } from "../store/ShardLeases.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { Journal } from "./Journal.ts"

const heldSlots = Metric.gauge("shard_slots_held", { description: "Slots of markets that this process records" })

/**
 * Which part of the markets this process records. Markets are divided into slots by a hash of their event (or their own ticker);
 * several processes share the slots, each slot recorded by one of them.
 */
export class ShardShare extends Context.Service<
  ShardShare,
  {
    readonly key: MarketShare["key"]
    readonly slotCount: number
    /** How markets are divided, `key/number of slots`: the same for all that share them. */
    readonly shard: string
    /** The slots to record now, ascending. */
    readonly wanted: Effect.Effect<ReadonlyArray<number>>
    /** Resolves when `wanted` changed since the last wait. */
    readonly changed: Effect.Effect<void>
    /** Gives slots back that are not wanted and not recorded any more. */
    release(slots: ReadonlyArray<number>): Effect.Effect<void>
  }
>()("kalshi-ingestor/ingest/ShardShare") {
  /** One fixed slot of `count`. */
  static readonly layerStatic = (key: MarketShare["key"], count: number, id: number) =>
    Layer.succeed(
      ShardShare,
      ShardShare.of({
        key,
        slotCount: count,
        shard: `${key}/${count}`,
        wanted: Effect.succeed([id]),
        changed: Effect.never,
        release: () => Effect.void
      })
    )

  /**
   * Slots leased through the database. A process that dies loses them `leaseSeconds` later to the others; one that joins gets its
   * fair part from those who hold more. While the database does not answer, nobody can take anything: what is held stays held.
   */
  static readonly layerLeased = (key: MarketShare["key"], leaseSeconds: number) =>
    Layer.effect(
      ShardShare,
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const leases = yield* ShardLeases
        const loops = yield* Loops
        const health = yield* Health
        const journal = yield* Journal
        const member = {
          instance: randomUUID(),
          journal: journal.id,
          host: os.hostname(),
          pid: process.pid
        }
        const changes = yield* Queue.sliding<void>(1)
        const hints = yield* Queue.sliding<void>(1)
        let held: ReadonlyArray<number> = []
        let wanted: ReadonlyArray<number> = []
        let count = 0

        const beat = Effect.gen(function* () {
          const now = yield* leases.heartbeat(member, leaseSeconds)
          const before = wanted
          const beats = count++
          held = now.map(({ slot }) => slot)
          wanted = now.filter(({ surplus }) => !surplus).map(({ slot }) => slot)
          yield* Metric.update(heldSlots, held.length)
          if (String(before) === String(wanted)) return
          if (beats > 0) yield* Effect.logInfo("slots of markets to record", { slots: wanted.join(" ") })
          yield* Queue.offer(changes, undefined)
        })
        yield* Effect.addFinalizer(() =>
          leases.leave(member.instance).pipe(Effect.timeoutOption("2 seconds"), Effect.ignore)
        )
        yield* untilDatabaseAnswers(beat)
        yield* loops.run(
          "shard-lease",
          untilDatabaseAnswers(beat).pipe(
            Effect.andThen(Effect.timeoutOption(Queue.take(hints), `${leaseSeconds / 5} seconds`)),
            Effect.forever
          )
        )
        yield* loops.run(
          "shard-hints",
          Effect.gen(function* () {
            const notifications = yield* sql.listen("ws_shards")
            return yield* Queue.take(notifications).pipe(Effect.andThen(Queue.offer(hints, undefined)), Effect.forever)
          }).pipe(Effect.scoped, Effect.retry(reconnectBackoff))
        )
        yield* health.register(
          "shards",
          Effect.sync(() => ({ ok: true, detail: `${held.length} of ${leasedSlots} slots held` }))
        )
        return ShardShare.of({
          key,
          slotCount: leasedSlots,
          shard: `${key}/${leasedSlots}`,
          wanted: Effect.sync(() => wanted),
          changed: Queue.take(changes),
          release: (slots) =>
            untilDatabaseAnswers(leases.release(member.instance, slots)).pipe(
              Effect.andThen(Queue.offer(hints, undefined)),
              Effect.catch((error) => Effect.logError("slots could not be given back", { reason: error.reason._tag })),
              Effect.asVoid
            )
        })
      })
    )

  /** As the settings say: a fixed shard when WS_SHARD_COUNT and WS_SHARD_ID are set, else leased. */
  static readonly layer = Layer.unwrap(
    Effect.gen(function* () {
      const { leaseSeconds, shardCount, shardId, shardKey } = yield* Setting.read(IngestConfig.sharding)
      if (shardCount === undefined && shardId === undefined) return ShardShare.layerLeased(shardKey, leaseSeconds)
      if (shardCount === undefined || shardId === undefined)
        return yield* new SettingError({
          setting: shardCount === undefined ? "WS_SHARD_COUNT" : "WS_SHARD_ID",
          problem: `is not set, ${shardCount === undefined ? "WS_SHARD_ID" : "WS_SHARD_COUNT"} is`,
          fix: "set both for a fixed shard, or neither to share the markets among all ws processes"
        })
      if (shardId >= shardCount)
        return yield* new SettingError({
          setting: "WS_SHARD_ID",
          problem: `${shardId} is not below WS_SHARD_COUNT (${shardCount})`,
          fix: `set it to 0 … ${shardCount - 1}, to each number in one process`
        })
      return ShardShare.layerStatic(shardKey, shardCount, shardId)
    })
  )
}
