import { settings as adminCalls } from "../admin/AdminConfig.ts"
import * as ArchiveConfig from "../ingest/ArchiveConfig.ts"
import * as IngestConfig from "../ingest/IngestConfig.ts"
import { settings as kalshi } from "../kalshi/KalshiConfig.ts"
import { archive as portalArchive, settings as portalSettings } from "../portal/PortalConfig.ts"
import * as PredictionConfig from "../prediction/PredictionConfig.ts"
import * as QueueConfig from "../queue/QueueConfig.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import * as Guardrails from "../runtime/Guardrails.ts"
import * as Health from "../runtime/Health.ts"
import * as Logging from "../runtime/Logging.ts"
import type { Setting } from "../runtime/Setting.ts"
import * as Telemetry from "../runtime/Telemetry.ts"
import { databaseSettings } from "../store/Database.ts"
import { logins } from "../store/DatabaseRoles.ts"
import * as SchemaSettings from "../store/SchemaSettings.ts"
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
  adminSocket: adminCalls.socket,
  adminPort: adminCalls.port,
  adminHost: adminCalls.host,
  adminToken: adminCalls.token,
  ...SchemaSettings.check,
  ...SchemaSettings.locking,
  ...Guardrails.settings
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
  ...ArchiveConfig.all,
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
  ...ArchiveConfig.all,
  ...QueueConfig.signals,
  ...QueueConfig.working,
  workerStale: Health.thresholds.worker
}
export const ws: Group = { ...common, ...kalshi, ...IngestConfig.capture, wsStale: Health.thresholds.ws }
export const migrator: Group = {
  database: databaseSettings.url,
  dataDirectory: databaseSettings.dataDir,
  pool: databaseSettings.pool,
  logLevel: Logging.settings.level,
  logFormat: Logging.settings.format,
  ...SchemaSettings.locking,
  ...logins,
  ...IngestConfig.importer
}
/** The command `archive`. */
export const archive: Group = {
  database: databaseSettings.url,
  pool: databaseSettings.pool,
  logLevel: Logging.settings.level,
  logFormat: Logging.settings.format,
  clock: ExchangeTime.settings.clock,
  ...SchemaSettings.check,
  ...ArchiveConfig.all
}
/** The commands `export` and `replay`. */
export const reader: Group = {
  database: databaseSettings.url,
  dataDirectory: databaseSettings.dataDir,
  pool: databaseSettings.pool,
  logLevel: Logging.settings.level,
  logFormat: Logging.settings.format,
  clock: ExchangeTime.settings.clock,
  ...SchemaSettings.check,
  archiveDirectory: ArchiveConfig.archive.directory,
  archiveMemory: ArchiveConfig.archive.memoryMegabytes,
  journalDirectory: IngestConfig.capture.journalDirectory
}
/** An operator's commands. */
export const admin: Group = {
  database: databaseSettings.url,
  dataDirectory: databaseSettings.dataDir,
  token: adminCalls.token,
  pool: databaseSettings.pool,
  logLevel: Logging.settings.level,
  logFormat: Logging.settings.format,
  clock: ExchangeTime.settings.clock,
  ...SchemaSettings.check,
  ...ArchiveConfig.all
}

const { apiKeyId: _, privateKeyPath: __, socketUrl: ___, ...publicRoutes } = kalshi
/** The portal has no key: it reads what the exchange shows everybody. */
export const portal: Group = {
  ...common,
  ...publicRoutes,
  ...portalSettings,
  archiveDirectory: portalArchive.directory,
  archiveMemory: portalArchive.memoryMegabytes,
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
