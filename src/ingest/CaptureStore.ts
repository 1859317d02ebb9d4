import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import { ActiveMarkets } from "../store/ActiveMarkets.ts"
import { Books } from "../store/Books.ts"
import { CaptureLedger } from "../store/CaptureLedger.ts"
import { Catalog } from "../store/Catalog.ts"
import { LifecycleEvents } from "../store/LifecycleEvents.ts"
import { MarketKeys } from "../store/MarketKeys.ts"
import { Partitions } from "../store/Partitions.ts"
import { Ticks } from "../store/Ticks.ts"
import { Trades } from "../store/Trades.ts"
import type { CaptureBatch } from "./CaptureBatch.ts"
import { LifecycleFilter, type WantedLifecycle } from "./LifecycleFilter.ts"

/** A stamp further off is a fault of the stamp: its row stays in the default partition, which maintenance reports. */
const plausibleDays = 40

/** The rows of a batch of frames. */
export class CaptureStore extends Context.Service<
  CaptureStore,
  {
    /** Makes what the rows need before their transaction: keys of markets, partitions. `nowMillis`: exchange time. */
    prepare(batch: CaptureBatch, nowMillis: number): Effect.Effect<WantedLifecycle, SqlError>
    /** Adds the rows. Joins the caller's transaction. */
    insert(journal: string, batch: CaptureBatch, lifecycle: WantedLifecycle): Effect.Effect<void, SqlError>
    /**
     * Leaves one of the equal rows of each market that two journals heard around the instant at which one took it over from the other
     * (exchange milliseconds). Joins the caller's transaction.
     */
    collapse(takenOver: ReadonlyMap<string, number>): Effect.Effect<void, SqlError>
    /** Removes the rows that `insert` would add, where they are there; trades have a key of their own. */
    remove(batch: CaptureBatch, lifecycle: WantedLifecycle): Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/ingest/CaptureStore") {
  static readonly layer = Layer.effect(
    CaptureStore,
    Effect.gen(function* () {
      const keys = yield* MarketKeys
      const ticks = yield* Ticks
      const trades = yield* Trades
      const books = yield* Books
      const ledger = yield* CaptureLedger
      const lifecycleEvents = yield* LifecycleEvents
      const lifecycleFilter = yield* LifecycleFilter
      const partitions = yield* Partitions

      const prepare = Effect.fnUntraced(function* (batch: CaptureBatch, nowMillis: number) {
        const lifecycle = yield* lifecycleFilter.select(batch.lifecycle)
        yield* keys.register(batch.tickers)
        const today = Partitions.dayOf(nowMillis)
        const plausible = (days: Iterable<number>) => [...days].filter((day) => Math.abs(day - today) < plausibleDays)
        yield* partitions.ensureDays("ticks", plausible(batch.ticks.days))
        if (batch.ticks.frames.tickers.length > 0)
          yield* partitions.ensureDays("tick_frames", plausible(batch.ticks.days))
        yield* partitions.ensureDays("trades", plausible(batch.tradeDays))
        yield* partitions.ensureDays("book_events", plausible(batch.books.deltaDays))
        yield* partitions.ensureDays("book_snapshots", plausible(batch.books.snapshotDays))
        return lifecycle
      })
      const insert = Effect.fnUntraced(function* (journal: string, batch: CaptureBatch, lifecycle: WantedLifecycle) {
        yield* ticks.insert(batch.ticks)
        yield* trades.insert(batch.trades)
        yield* books.insert(batch.books)
        yield* lifecycleEvents.insert(lifecycle.messages)
        yield* lifecycleEvents.wait(lifecycle.unknown)
        yield* ledger.quarantine(journal, batch.quarantined)
      })
      const collapse = Effect.fnUntraced(function* (takenOver: ReadonlyMap<string, number>) {
        yield* ticks.collapse(takenOver)
        yield* books.collapse(takenOver)
      })
      const remove = Effect.fnUntraced(function* (batch: CaptureBatch, lifecycle: WantedLifecycle) {
        yield* ticks.remove(batch.ticks)
        yield* books.remove(batch.books)
        yield* lifecycleEvents.remove([...lifecycle.messages, ...lifecycle.unknown])
      })
      return CaptureStore.of({ prepare, insert, collapse, remove })
    })
  )

  /** With the tables that capture writes to. */
  static readonly layerWithTables = CaptureStore.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        ActiveMarkets.layer,
        CaptureLedger.layer,
        LifecycleEvents.layer,
        Partitions.layer,
        Layer.mergeAll(Books.layer, Ticks.layer, Trades.layer).pipe(Layer.provideMerge(MarketKeys.layer)),
        LifecycleFilter.layer.pipe(Layer.provideMerge(Catalog.layer))
      )
    )
  )
}
