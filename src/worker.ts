import * as Layer from "effect/Layer"
import * as AdminServer from "./admin/AdminServer.ts"
import { AccountCheck } from "./ingest/AccountCheck.ts"
import * as ArchiveLoop from "./ingest/ArchiveLoop.ts"
import { CandleHistory } from "./ingest/CandleHistory.ts"
import { EventIntake } from "./ingest/EventIntake.ts"
import * as FencedStores from "./ingest/FencedStores.ts"
import { GapPull } from "./ingest/GapPull.ts"
import { HistoryControl } from "./ingest/HistoryControl.ts"
import * as JobBodies from "./ingest/JobBodies.ts"
import { MarketCatchUp } from "./ingest/MarketCatchUp.ts"
import { MarketOutcomes } from "./ingest/MarketOutcomes.ts"
import { TradeHistory } from "./ingest/TradeHistory.ts"
import * as Venue from "./kalshi/Venue.ts"
import * as Roles from "./local/Roles.ts"
import * as RabbitWakeUp from "./queue/RabbitWakeUp.ts"
import { Worker } from "./queue/Worker.ts"
import { ExchangeTime } from "./runtime/ExchangeTime.ts"
import * as Health from "./runtime/Health.ts"
import { runRoleProgram } from "./runtime/Program.ts"
import * as Setting from "./runtime/Setting.ts"
import { Candles } from "./store/Candles.ts"
import { Catalog } from "./store/Catalog.ts"
import { Database } from "./store/Database.ts"
import { GapRepairs } from "./store/GapRepairs.ts"
import { IngestState } from "./store/IngestState.ts"
import { MarketCompletion } from "./store/MarketCompletion.ts"
import { MarketKeys } from "./store/MarketKeys.ts"
import { Migrations } from "./store/Migrations.ts"
import { Partitions } from "./store/Partitions.ts"
import { QueueConnection } from "./store/QueueConnection.ts"
import { QueueJobs } from "./store/QueueJobs.ts"
import { SchemaCheck } from "./store/SchemaCheck.ts"
import * as ServiceInstances from "./store/ServiceInstances.ts"
import { Trades } from "./store/Trades.ts"
import { TradeWindows } from "./store/TradeWindows.ts"

const History = Layer.mergeAll(GapPull.layer, MarketCatchUp.layer, MarketOutcomes.layer).pipe(
  Layer.provideMerge(Layer.merge(CandleHistory.layer, TradeHistory.layer)),
  Layer.provideMerge(EventIntake.layer)
)
const Handlers = JobBodies.layer.pipe(Layer.provide([History, ArchiveLoop.layerIfSet]))
const Admin = AdminServer.layer("worker", Roles.worker).pipe(
  Layer.provide(HistoryControl.layer.pipe(Layer.provide(History)))
)
const Store = FencedStores.layer.pipe(
  Layer.provideMerge(
    Layer.mergeAll(
      Catalog.layer,
      GapRepairs.layer,
      IngestState.layer,
      MarketCompletion.layer,
      Candles.layer.pipe(Layer.provideMerge(Partitions.layer)),
      TradeWindows.layer,
      Trades.layer.pipe(Layer.provideMerge(MarketKeys.layer))
    )
  )
)
/** A key that the exchange refuses ends the program, not every job. */
const KeyIsGood = Layer.effectDiscard(AccountCheck).pipe(Layer.provide(AccountCheck.layer))
const Queue = RabbitWakeUp.layer.pipe(Layer.provideMerge(Layer.merge(QueueJobs.layer, QueueConnection.layer)))

runRoleProgram(
  "worker",
  Layer.mergeAll(Worker, Admin, KeyIsGood, Health.layerServer("worker"), ServiceInstances.layer("worker")).pipe(
    Layer.provide(Handlers),
    Layer.provide([Venue.layerRest, Store, Queue, ExchangeTime.layer, Health.Health.layer]),
    Layer.provide(SchemaCheck.pipe(Layer.provide(Migrations.layer))),
    Layer.provide(Database.layerUrl({ applicationName: "kalshi-ingestor worker" })),
    Layer.provide(Setting.layerChecked(Roles.worker))
  )
)
