import type * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { PgArray } from "./PgArray.ts"

/**
 * The number of each market (`market_keys`), given on first sight, so that a row of a market that the catalog does not know
 * yet is stored like any other.
 */
export class MarketKeys extends Context.Service<
  MarketKeys,
  {
    /** Gives every ticker its number. Call it outside of the transaction that stores the rows. */
    register(tickers: ReadonlySet<string>): Effect.Effect<void, SqlError>
    /** The number of a registered ticker. */
    readonly idOf: (ticker: string) => number | undefined
    /** The numbers of registered tickers, as a parameter. */
    readonly idsOf: (tickers: Iterable<string>) => PgTypes.Parameter
  }
>()("kalshi-ingestor/store/MarketKeys") {
  static readonly layer = Layer.effect(
    MarketKeys,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const ids = new Map<string, number>()

      const register = Effect.fnUntraced(function* (tickers: ReadonlySet<string>) {
        const missing = [...tickers].filter((ticker) => !ids.has(ticker)).sort()
        if (missing.length === 0) return
        yield* sql`
          insert into market_keys (ticker)
          select ticker from unnest(${missing}::text[]) as wanted (ticker)
          where not exists (select from market_keys k where k.ticker = wanted.ticker)
          on conflict (ticker) do nothing`
        const rows = yield* sql<{ ticker: string; market_id: number }>`
          select ticker, market_id from market_keys where ticker = any(${missing})`
        for (const row of rows) ids.set(row.ticker, row.market_id)
      })

      const idsOf = (tickers: Iterable<string>) => {
        const numbers = PgArray.int4s()
        for (const ticker of tickers) {
          const id = ids.get(ticker)
          if (id === undefined) numbers.null()
          else numbers.int4(id)
        }
        return numbers.parameter
      }

      return MarketKeys.of({ register, idOf: (ticker) => ids.get(ticker), idsOf })
    })
  )
}
