import { settings as admin } from "../admin/AdminConfig.ts"
import * as IngestConfig from "../ingest/IngestConfig.ts"
import { settings as kalshi } from "../kalshi/KalshiConfig.ts"
import { settings as portalSettings } from "../portal/PortalConfig.ts"
import * as PredictionConfig from "../prediction/PredictionConfig.ts"
import * as QueueConfig from "../queue/QueueConfig.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import * as Health from "../runtime/Health.ts"
import * as Logging from "../runtime/Logging.ts"
import type { Setting } from "../runtime/Setting.ts"
import * as Telemetry from "../runtime/Telemetry.ts"
import { databaseSettings } from "../store/Database.ts"
import * as Healthcheck from "./Healthcheck.ts"

export type Group = { readonly [key: string]: Setting<unknown> }

/** What every program reads. */
export const common: Group = {
  database: databaseSettings.url,
  dataDirectory: databaseSettings.dataDir,
  pool: databaseSettings.pool,
  ...Logging.settings,
  ...Telemetry.settings,
  healthPort: Health.settings.port,
  healthHost: Health.settings.host,
  clock: ExchangeTime.settings.clock,
  adminSocket: admin.socket,
  adminPort: admin.port,
  adminHost: admin.host,
  adminToken: admin.token
}

/** Which settings each program reads. */
export const rest: Group = {
  ...common,
  ...kalshi,
  ...IngestConfig.discovery,
  ...IngestConfig.backfill,
  ...IngestConfig.closedCleanup,
  ...IngestConfig.tradeReconcile,
  ...IngestConfig.completeness,
  ...QueueConfig.delegation,
  ...QueueConfig.enqueueing,
  ...QueueConfig.signals,
  discoveryStale: Health.thresholds.discovery,
  backfillStale: Health.thresholds.backfill
}
export const worker: Group = {
  ...common,
  ...kalshi,
  ...IngestConfig.strikePeriods,
  ...IngestConfig.multivariate,
  ...IngestConfig.candles,
  ...QueueConfig.signals,
  ...QueueConfig.working,
  workerStale: Health.thresholds.worker
}
export const ws: Group = { ...common, ...kalshi, ...IngestConfig.capture, wsStale: Health.thresholds.ws }
export const migrator: Group = IngestConfig.importer

const { apiKeyId: _, privateKeyPath: __, socketUrl: ___, ...publicRoutes } = kalshi
/** The portal has no key: it reads what the exchange shows everybody. */
export const portal: Group = {
  ...common,
  ...publicRoutes,
  ...portalSettings,
  ...QueueConfig.enqueueing,
  ...QueueConfig.signals
}
export const predictor: Group = {
  ...common,
  ...PredictionConfig.all,
  predictorStale: Health.thresholds.predictor
}
/** The check of other programs' health. */
export const healthcheck: Group = {
  database: databaseSettings.url,
  healthPort: Health.settings.port,
  healthHost: Health.settings.host,
  ...Healthcheck.settings,
  ...Logging.settings
}
