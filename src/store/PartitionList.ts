import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** `from` and `to` as the server writes the bounds; both empty for the default partition. `rows`: as of the last analyze. */
export interface PartitionRow {
  readonly table: string
  readonly partition: string
  readonly from: string
  readonly to: string
  readonly rows: number
  readonly bytes: number
}

/** The partitions that there are, and how large they are, indexes included. */
export class PartitionList extends Context.Service<
  PartitionList,
  { readonly list: Effect.Effect<ReadonlyArray<PartitionRow>, SqlError> }
>()("kalshi-ingestor/store/PartitionList") {
  static readonly layer = Layer.effect(
    PartitionList,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const list = sql<PartitionRow>`
        select parent.relname as table, child.relname as partition,
          coalesce((regexp_match(bound, 'FROM \\(''([^'']*)'''))[1], '') as from,
          coalesce((regexp_match(bound, 'TO \\(''([^'']*)'''))[1], '') as to,
          greatest(child.reltuples, 0)::float8 as rows, pg_total_relation_size(child.oid)::float8 as bytes
        from pg_inherits i
        join pg_class parent on parent.oid = i.inhparent
        join pg_class child on child.oid = i.inhrelid
        cross join lateral pg_get_expr(child.relpartbound, child.oid) as bound
        where parent.relkind = 'p' and parent.relnamespace = current_schema()::regnamespace
        order by 1, 3 desc, 2`
      return PartitionList.of({ list: list.pipe(Effect.withSpan("PartitionList.list")) })
    })
  )
}
