import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** How many slots are leased. */
export const leasedSlots = 12

/** A process that shares the slots, and the journal that it alone writes. */
export interface Member {
  readonly instance: string
  readonly journal: string
  readonly host: string
  readonly pid: number
}

/** `fence` grows with every new holder of the slot; `surplus`: more than the fair part, to be given away. */
export interface Lease {
  readonly slot: number
  readonly fence: number
  readonly surplus: boolean
}

/** Slots of markets, leased by live processes. Times are the database's clock. */
export class ShardLeases extends Context.Service<
  ShardLeases,
  {
    /** Renews for `ttlSeconds`, takes what is free up to the fair part, and returns all that the member holds. */
    heartbeat(member: Member, ttlSeconds: number): Effect.Effect<ReadonlyArray<Lease>, SqlError>
    release(instance: string, slots: ReadonlyArray<number>): Effect.Effect<void, SqlError>
    /** Releases everything. */
    leave(instance: string): Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/ShardLeases") {
  static readonly layer = Layer.effect(
    ShardLeases,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return ShardLeases.of({
        heartbeat: Effect.fn("ShardLeases.heartbeat")(({ host, instance, journal, pid }, ttlSeconds) =>
          sql<{ slot: number; fence: bigint; surplus: boolean }>`
            select slot, fence, surplus
            from ws_heartbeat(${instance}, ${journal}, ${host}, ${pid}, ${ttlSeconds} * interval '1 second')`.pipe(
            Effect.map((rows) => rows.map(({ fence, slot, surplus }) => ({ slot, fence: Number(fence), surplus })))
          )
        ),
        release: Effect.fn("ShardLeases.release")((instance, slots) =>
          Effect.asVoid(sql`select ws_release(${instance}, smallints(${slots}::int[]))`)
        ),
        leave: Effect.fn("ShardLeases.leave")((instance) => Effect.asVoid(sql`select ws_leave(${instance})`))
      })
    })
  )
}
