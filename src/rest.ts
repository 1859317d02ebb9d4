import * as Layer from "effect/Layer"
import * as AdminServer from "./admin/AdminServer.ts"
import { AccountCheck } from "./ingest/AccountCheck.ts"
import { ArchiveLoop } from "./ingest/ArchiveLoop.ts"
import { Backfill } from "./ingest/Backfill.ts"
import { CandleHistory } from "./ingest/CandleHistory.ts"
import { ClosedCleanup } from "./ingest/ClosedCleanup.ts"
import { Consistency } from "./ingest/Consistency.ts"
import { CoverageLoop } from "./ingest/CoverageLoop.ts"
import * as Delegation from "./ingest/Delegation.ts"
import { Discovery } from "./ingest/Discovery.ts"
import { EventIntake } from "./ingest/EventIntake.ts"
import { EventScan } from "./ingest/EventScan.ts"
import { GapRepair } from "./ingest/GapRepair.ts"
import { HistoryControl } from "./ingest/HistoryControl.ts"
import { LifecycleResumed } from "./ingest/LifecycleResumed.ts"
import { Maintenance } from "./ingest/Maintenance.ts"
import { MarketClock } from "./ingest/MarketClock.ts"
import { RecordGauges } from "./ingest/RecordGauges.ts"
import { TradeHistory } from "./ingest/TradeHistory.ts"
import { TradeReconcile } from "./ingest/TradeReconcile.ts"
import * as Venue from "./kalshi/Venue.ts"
import * as Roles from "./local/Roles.ts"
import { ExchangeTime } from "./runtime/ExchangeTime.ts"
import * as Health from "./runtime/Health.ts"
import { runRoleProgram } from "./runtime/Program.ts"
import * as Setting from "./runtime/Setting.ts"
import { ActiveMarkets } from "./store/ActiveMarkets.ts"
import { Candles } from "./store/Candles.ts"
import { Catalog } from "./store/Catalog.ts"
import { ConsistencyChecks } from "./store/ConsistencyChecks.ts"
import { Coverage } from "./store/Coverage.ts"
import { Database } from "./store/Database.ts"
import { GapRepairs } from "./store/GapRepairs.ts"
import { IngestState } from "./store/IngestState.ts"
import { LifecycleEvents } from "./store/LifecycleEvents.ts"
import { MarketCompletion } from "./store/MarketCompletion.ts"
import { MarketKeys } from "./store/MarketKeys.ts"
import { Migrations } from "./store/Migrations.ts"
import { Partitions } from "./store/Partitions.ts"
import { SchemaCheck } from "./store/SchemaCheck.ts"
import * as ServiceInstances from "./store/ServiceInstances.ts"
import { Trades } from "./store/Trades.ts"
import { TradeWindows } from "./store/TradeWindows.ts"

const History = Layer.mergeAll(EventScan.layer, Delegation.layer).pipe(
  Layer.provideMerge(Layer.merge(CandleHistory.layer, TradeHistory.layer)),
  Layer.provideMerge(EventIntake.layer)
)
const Loops = Layer.mergeAll(
  Layer.mergeAll(Discovery, Backfill, ClosedCleanup, TradeReconcile, GapRepair, Consistency).pipe(
    Layer.provide([AccountCheck.layer, LifecycleResumed.layer]),
    Layer.merge(AdminServer.layer("rest", Roles.rest).pipe(Layer.provide(HistoryControl.layer))),
    Layer.provide(History)
  ),
  ArchiveLoop,
  CoverageLoop,
  MarketClock,
  RecordGauges,
  Maintenance
)
const Store = Layer.mergeAll(
  Catalog.layer,
  ConsistencyChecks.layer,
  Coverage.layer,
  GapRepairs.layer,
  ActiveMarkets.layer,
  IngestState.layer,
  LifecycleEvents.layer,
  MarketCompletion.layer,
  Candles.layer.pipe(Layer.provideMerge(Partitions.layer)),
  TradeWindows.layer,
  Trades.layer.pipe(Layer.provideMerge(MarketKeys.layer))
).pipe(Layer.provideMerge(SchemaCheck.pipe(Layer.provide(Migrations.layer))))

runRoleProgram(
  "rest",
  Layer.mergeAll(Loops, Health.layerServer("rest"), ServiceInstances.layer("rest")).pipe(
    Layer.provide([Venue.layerRest, Store, ExchangeTime.layer, Health.Health.layer]),
    Layer.provide(Database.layerUrl({ applicationName: "kalshi-ingestor rest" })),
    Layer.provide(Setting.layerChecked(Roles.rest))
  )
)
