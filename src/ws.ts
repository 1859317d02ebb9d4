import * as Layer from "effect/Layer"
import * as AdminServer from "./admin/AdminServer.ts"
import { CaptureProgress } from "./ingest/CaptureProgress.ts"
import { CaptureStore } from "./ingest/CaptureStore.ts"
import { CaptureWriter } from "./ingest/CaptureWriter.ts"
import { JournalControl } from "./ingest/JournalControl.ts"
import { JournalOfProcess } from "./ingest/JournalOfProcess.ts"
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
import { Database } from "./store/Database.ts"
import { Migrations } from "./store/Migrations.ts"
import { SchemaCheck } from "./store/SchemaCheck.ts"
import * as ServiceInstances from "./store/ServiceInstances.ts"
import { ShardLeases } from "./store/ShardLeases.ts"

const Store = CaptureStore.layerWithTables.pipe(Layer.provideMerge(SchemaCheck.pipe(Layer.provide(Migrations.layer))))

const Capture = LiveCapture.pipe(
  Layer.provide([KalshiSocket.layer, MarketsChanged.layer]),
  Layer.provideMerge(CaptureWriter),
  Layer.provide(CaptureProgress.layer),
  Layer.provide(ShardShare.layer),
  Layer.provide([JournalOfProcess, ShardLeases.layer])
)

const Admin = AdminServer.layer("ws", Roles.ws).pipe(Layer.provide([Capture, JournalControl.layer]))

runRoleProgram(
  "ws",
  Layer.mergeAll(
    Capture,
    Admin,
    OrphanJournals,
    MarketClock,
    Health.layerServer("ws"),
    ServiceInstances.layer("ws")
  ).pipe(
    Layer.provide([Venue.layerSocketAccess, Store, ExchangeTime.layer, Health.Health.layer]),
    Layer.provide(Database.layerUrl({ applicationName: "kalshi-ingestor ws" })),
    Layer.provide(Setting.layerChecked(Roles.ws))
  )
)
