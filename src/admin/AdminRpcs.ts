import * as Context from "effect/Context"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as Schema from "effect/Schema"
import { levels } from "../runtime/LogControl.ts"
import { AdminError } from "./AdminError.ts"
import * as Facts from "./Facts.ts"

/** Says that a call changes something: it is written down in `admin_audit`. */
export const Mutates = Context.Reference("kalshi-ingestor/admin/Mutates", { defaultValue: () => false })

/** Lets in who may, and writes down what changes something. */
export class AdminGuard extends RpcMiddleware.Service<AdminGuard>()("kalshi-ingestor/admin/AdminGuard", {
  error: AdminError,
  requiredForClient: true
}) {}

const ids = Schema.Array(Schema.String.check(Schema.isPattern(/^\d{1,18}$/)))
const limit = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))
const loop = { loop: Schema.String }
const error = AdminError

/** Instants are RFC 3339; absent: open. */
const span = { from: Schema.optionalKey(Schema.String), to: Schema.optionalKey(Schema.String) }

const markets = {
  series: Schema.optionalKey(Schema.String),
  event: Schema.optionalKey(Schema.String),
  market: Schema.optionalKey(Schema.String)
}

/** What any program answers of itself. */
const process = [
  Rpc.make("status", { success: Facts.Status, error }),
  Rpc.make("config", { success: Schema.Array(Facts.ConfigEntry), error }),
  Rpc.make("health", { success: Facts.Health, error }),
  Rpc.make("metrics", { success: Schema.String, error }),
  Rpc.make("loops", { success: Schema.Array(Facts.Loop), error }),
  Rpc.make("pauseLoop", { payload: loop, success: Facts.Loop, error }).annotate(Mutates, true),
  Rpc.make("resumeLoop", { payload: loop, success: Facts.Loop, error }).annotate(Mutates, true),
  Rpc.make("runLoop", { payload: loop, success: Facts.Loop, error }).annotate(Mutates, true),
  Rpc.make("logLevel", { success: Schema.Literals(levels), error }),
  Rpc.make("setLogLevel", { payload: { level: Schema.Literals(levels) }, error }).annotate(Mutates, true),
  Rpc.make("drain", { error }).annotate(Mutates, true),
  Rpc.make("tail", {
    payload: { level: Schema.optionalKey(Schema.Literals(levels)), loop: Schema.optionalKey(Schema.String) },
    success: Facts.LogLine,
    error,
    stream: true
  })
] as const

/** The live feed and the key: programs that have them. */
const feed = [
  Rpc.make("subscriptions", { success: Facts.Feed, error }),
  Rpc.make("resubscribe", { payload: { reconnect: Schema.Boolean }, success: Facts.Feed, error }).annotate(
    Mutates,
    true
  ),
  Rpc.make("rotateKey", {
    payload: { keyId: Schema.String, path: Schema.String },
    success: Facts.Rotated,
    error
  }).annotate(Mutates, true)
] as const

/** What was recorded, and making up for what was not. */
const record = [
  Rpc.make("gaps", {
    payload: { state: Schema.Literals(["open", "waiting", "repaired", "all"]), ...span, limit },
    success: Schema.Array(Facts.Gap),
    error
  }),
  Rpc.make("repairGaps", { payload: { ids }, success: Facts.Counted, error }).annotate(Mutates, true),
  Rpc.make("backfill", { payload: { ...markets, ...span }, success: Facts.Progress, error, stream: true }).annotate(
    Mutates,
    true
  ),
  Rpc.make("reprocess", {
    payload: { from: Schema.String, to: Schema.optionalKey(Schema.String) },
    success: Facts.Progress,
    error,
    stream: true
  }).annotate(Mutates, true),
  Rpc.make("quarantine", { payload: { ...span, limit }, success: Schema.Array(Facts.Quarantined), error }),
  Rpc.make("retryQuarantined", { payload: { ids }, success: Facts.Retried, error }).annotate(Mutates, true),
  Rpc.make("dropQuarantined", { payload: { ids }, success: Facts.Counted, error }).annotate(Mutates, true)
] as const

const jobStatus = Schema.Literals(["pending", "running", "done", "failed"])

/** The work queue, the database, the budget of calls, the audit: any program that may. */
const store = [
  Rpc.make("jobs", {
    payload: { status: Schema.optionalKey(jobStatus), type: Schema.optionalKey(Schema.String), limit },
    success: Schema.Array(Facts.Job),
    error
  }),
  Rpc.make("retryJobs", { payload: { ids }, success: Facts.Counted, error }).annotate(Mutates, true),
  Rpc.make("cancelJobs", { payload: { ids, why: Schema.String }, success: Facts.Counted, error }).annotate(
    Mutates,
    true
  ),
  Rpc.make("purgeJobs", {
    payload: {
      status: Schema.Literals(["pending", "done", "failed"]),
      type: Schema.optionalKey(Schema.String),
      olderThanSeconds: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
    },
    success: Facts.Counted,
    error
  }).annotate(Mutates, true),
  Rpc.make("partitions", { success: Schema.Array(Facts.Partition), error }),
  Rpc.make("archive", { success: Facts.Archive, error }),
  Rpc.make("budget", { success: Schema.Array(Facts.Budget), error }),
  Rpc.make("audit", { payload: { limit }, success: Schema.Array(Facts.AuditEntry), error })
] as const

/** What every program answers, on its socket and, when asked to, on a port. */
export class AdminRpcs extends RpcGroup.make(...process, ...feed, ...record, ...store).middleware(AdminGuard) {}
