import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import { WriteGuard } from "../queue/WriteGuard.ts"
import { Candles } from "../store/Candles.ts"
import { Catalog } from "../store/Catalog.ts"
import { MarketCompletion } from "../store/MarketCompletion.ts"
import { Trades } from "../store/Trades.ts"
import { TradeWindows } from "../store/TradeWindows.ts"

const guarded =
  <Args extends ReadonlyArray<unknown>, A>(write: (...args: Args) => Effect.Effect<A, SqlError>) =>
  (...args: Args): Effect.Effect<A, SqlError> =>
    Effect.flatMap(WriteGuard, (guard) => guard(write(...args)))

/** The stores that jobs write their results to: a job that went to another worker writes nothing any more. */
export const layer = Layer.mergeAll(
  Layer.effect(
    Candles,
    Effect.map(Candles, (candles) => Candles.of({ ...candles, store: guarded(candles.store) }))
  ),
  Layer.effect(
    Catalog,
    Effect.map(Catalog, (catalog) =>
      Catalog.of({
        ...catalog,
        saveSeries: guarded(catalog.saveSeries),
        saveEvents: guarded(catalog.saveEvents),
        saveMarkets: guarded(catalog.saveMarkets)
      })
    )
  ),
  Layer.effect(
    MarketCompletion,
    Effect.map(MarketCompletion, (completion) =>
      MarketCompletion.of({
        ...completion,
        complete: guarded(completion.complete),
        missing: guarded(completion.missing),
        seen: guarded(completion.seen)
      })
    )
  ),
  Layer.effect(
    Trades,
    Effect.map(Trades, (trades) => Trades.of({ ...trades, insert: guarded(trades.insert) }))
  ),
  Layer.effect(
    TradeWindows,
    Effect.map(TradeWindows, (windows) => TradeWindows.of({ ...windows, record: guarded(windows.record) }))
  )
)
