import * as Layer from "effect/Layer"
import { CaptureProgress } from "./ingest/CaptureProgress.ts"
import { CaptureWriter } from "./ingest/CaptureWriter.ts"
import { JournalOfProcess } from "./ingest/JournalOfProcess.ts"
import { LifecycleFilter } from "./ingest/LifecycleFilter.ts"
import { LiveCapture } from "./ingest/LiveCapture.ts"
import { MarketClock } from "./ingest/MarketClock.ts"
import { MarketsChanged } from "./ingest/MarketsChanged.ts"
import { OrphanJournals } from "./ingest/OrphanJournals.ts"
import { ShardShare } from "./ingest/ShardShare.ts"
import { KalshiSocket } from "./kalshi/KalshiSocket.ts"
import * as Venue from "./kalshi/Venue.ts"
import * as Roles from "./local/Roles.ts"
import { ExchangeTime } from "./runtime/ExchangeTime.ts"
import * as Health from "./runtime/Health.ts"
import { runRoleProgram } from "./runtime/Program.ts"
import * as Setting from "./runtime/Setting.ts"
import { ActiveMarkets } from "./store/ActiveMarkets.ts"
import { Books } from "./store/Books.ts"
import { CaptureLedger } from "./store/CaptureLedger.ts"
import { Catalog } from "./store/Catalog.ts"
import { Database } from "./store/Database.ts"
import { LifecycleEvents } from "./store/LifecycleEvents.ts"
import { MarketKeys } from "./store/MarketKeys.ts"
import { Migrations } from "./store/Migrations.ts"
import { Partitions } from "./store/Partitions.ts"
import { SchemaCheck } from "./store/SchemaCheck.ts"
import { ShardLeases } from "./store/ShardLeases.ts"
import { Ticks } from "./store/Ticks.ts"
import { Trades } from "./store/Trades.ts"

const Store = Layer.mergeAll(
  ActiveMarkets.layer,
  CaptureLedger.layer,
  LifecycleEvents.layer,
  Partitions.layer,
  Layer.mergeAll(Books.layer, Ticks.layer, Trades.layer).pipe(Layer.provideMerge(MarketKeys.layer)),
  LifecycleFilter.layer.pipe(Layer.provideMerge(Catalog.layer))
).pipe(Layer.provideMerge(SchemaCheck.pipe(Layer.provide(Migrations.layer))))

const Capture = LiveCapture.pipe(
  Layer.provide([KalshiSocket.layer, MarketsChanged.layer]),
  Layer.provideMerge(CaptureWriter),
  Layer.provide(CaptureProgress.layer),
  Layer.provide(ShardShare.layer),
  Layer.provide([JournalOfProcess, ShardLeases.layer])
)

runRoleProgram(
  "ws",
  Layer.mergeAll(Capture, OrphanJournals, MarketClock, Health.layerServer("ws")).pipe(
    Layer.provide([Venue.layerSocketAccess, Store, ExchangeTime.layer, Health.Health.layer]),
    Layer.provide(Database.layerUrl({ applicationName: "kalshi-ingestor ws" })),
    Layer.provide(Setting.layerChecked(Roles.ws))
  )
)
