import * as Schema from "effect/Schema"

/*
 * What admin calls answer. Instants are RFC 3339 in UTC. Ids are text: they may be larger than a JavaScript number.
 */

const optionalInstant = Schema.NullOr(Schema.String)

export const Loop = Schema.Struct({
  loop: Schema.String,
  /** `continuous`: it has no passes. */
  kind: Schema.Literals(["cycle", "continuous"]),
  phase: Schema.Literals(["waiting", "running", "paused"]),
  isPaused: Schema.Boolean,
  passes: Schema.Int,
  startedAt: optionalInstant,
  endedAt: optionalInstant,
  nextAt: optionalInstant
})
export type Loop = typeof Loop.Type

export const Part = Schema.Struct({
  ok: Schema.Boolean,
  detail: Schema.String,
  ageSeconds: Schema.optionalKey(Schema.Finite)
})

export const Health = Schema.Struct({ ok: Schema.Boolean, parts: Schema.Record(Schema.String, Part) })
export type Health = typeof Health.Type

export const Status = Schema.Struct({
  service: Schema.String,
  instance: Schema.String,
  host: Schema.String,
  pid: Schema.Int,
  version: Schema.String,
  node: Schema.String,
  startedAt: Schema.String,
  uptimeSeconds: Schema.Finite,
  memoryBytes: Schema.Finite,
  database: Schema.String,
  logLevel: Schema.String,
  health: Health,
  loops: Schema.Array(Loop)
})
export type Status = typeof Status.Type

export const ConfigEntry = Schema.Struct({
  name: Schema.String,
  /** What is in force, as one would type it; `(hidden)` for a secret that is set, empty when there is none. */
  value: Schema.String,
  isSet: Schema.Boolean,
  doc: Schema.String
})
export type ConfigEntry = typeof ConfigEntry.Type

export const LogLine = Schema.Struct({
  at: Schema.String,
  level: Schema.String,
  message: Schema.String,
  annotations: Schema.Record(Schema.String, Schema.String),
  cause: Schema.optionalKey(Schema.String)
})
export type LogLine = typeof LogLine.Type

export const Feed = Schema.Struct({
  connected: Schema.Boolean,
  /** Number of connections since the start. */
  sessions: Schema.Int,
  lastFrameAt: optionalInstant,
  slots: Schema.Array(Schema.Int),
  channels: Schema.Array(
    Schema.Struct({
      channel: Schema.String,
      sid: Schema.NullOr(Schema.Int),
      markets: Schema.Array(Schema.String),
      /** Wanted, and not subscribed: too many, or refused. */
      leftOut: Schema.Array(Schema.String)
    })
  )
})
export type Feed = typeof Feed.Type

export const Rotated = Schema.Struct({ keyId: Schema.String, previousKeyId: Schema.NullOr(Schema.String) })

export const Counted = Schema.Struct({ count: Schema.Int })

export const Retried = Schema.Struct({ stored: Schema.Int, refused: Schema.Int, unknown: Schema.Int })

/** `total` is null while it is not known. The last one of a stream has `done` = `total`. */
export const Progress = Schema.Struct({
  done: Schema.Int,
  total: Schema.NullOr(Schema.Int),
  note: Schema.String
})
export type Progress = typeof Progress.Type

export const Gap = Schema.Struct({
  id: Schema.String,
  feed: Schema.String,
  market: Schema.NullOr(Schema.String),
  slots: Schema.NullOr(Schema.Array(Schema.Int)),
  from: Schema.String,
  to: optionalInstant,
  cause: Schema.String,
  detail: Schema.NullOr(Schema.String),
  framesMissing: Schema.NullOr(Schema.Finite),
  repairedBy: Schema.NullOr(Schema.String),
  repairedAt: optionalInstant,
  /** Why it is not repaired yet, and when that is tried again. */
  problem: Schema.NullOr(Schema.String),
  nextTryAt: optionalInstant
})
export type Gap = typeof Gap.Type

export const Quarantined = Schema.Struct({
  id: Schema.String,
  at: Schema.String,
  receivedAt: optionalInstant,
  feed: Schema.String,
  journal: Schema.NullOr(Schema.String),
  cause: Schema.String,
  bytes: Schema.Int,
  /** The first 200 characters. */
  raw: Schema.String
})
export type Quarantined = typeof Quarantined.Type

export const Job = Schema.Struct({
  id: Schema.String,
  type: Schema.String,
  status: Schema.String,
  priority: Schema.Int,
  attempts: Schema.Int,
  maxAttempts: Schema.Int,
  about: Schema.String,
  createdAt: Schema.String,
  availableAt: Schema.String,
  lockedBy: Schema.NullOr(Schema.String),
  lastError: Schema.NullOr(Schema.String)
})
export type Job = typeof Job.Type

export const Partition = Schema.Struct({
  table: Schema.String,
  partition: Schema.String,
  from: Schema.String,
  to: Schema.String,
  /** As of the last analyze. */
  rows: Schema.Finite,
  bytes: Schema.Finite
})
export type Partition = typeof Partition.Type

/** Days are UTC, `to` excluded. */
export const Dataset = Schema.Struct({
  dataset: Schema.String,
  table: Schema.String,
  from: Schema.String,
  to: Schema.String,
  state: Schema.Literals(["database", "both", "archive"]),
  /** Null where nothing is archived. */
  rows: Schema.NullOr(Schema.Finite),
  bytes: Schema.NullOr(Schema.Finite),
  datasetId: Schema.NullOr(Schema.String)
})

export const Archive = Schema.Struct({
  /** These three are of the program that answers. */
  directory: Schema.NullOr(Schema.String),
  /** Room on that disk. */
  freeBytes: Schema.NullOr(Schema.Finite),
  settings: Schema.Struct({
    everySeconds: Schema.Finite,
    closedHours: Schema.Finite,
    tables: Schema.Array(Schema.String),
    ticksDays: Schema.Finite,
    booksDays: Schema.Finite,
    rollUp: Schema.Boolean,
    lockMillis: Schema.Int
  }),
  /** Null where this program has none. */
  loop: Schema.NullOr(Loop),
  lastPass: Schema.NullOr(
    Schema.Struct({
      beganAt: Schema.String,
      endedAt: Schema.String,
      archived: Schema.Int,
      rows: Schema.Finite,
      bytes: Schema.Finite,
      detached: Schema.Int,
      waiting: Schema.Array(Schema.Struct({ partition: Schema.String, problem: Schema.String })),
      problem: Schema.NullOr(Schema.String)
    })
  ),
  datasets: Schema.Array(Dataset)
})
export type Archive = typeof Archive.Type

export const Budget = Schema.Struct({
  key: Schema.String,
  /** Below zero: already promised to callers that wait. */
  tokens: Schema.Finite,
  capacity: Schema.Finite,
  refillPerSecond: Schema.Finite
})
export type Budget = typeof Budget.Type

export const AuditEntry = Schema.Struct({
  id: Schema.String,
  at: Schema.String,
  actor: Schema.String,
  via: Schema.String,
  host: Schema.String,
  service: Schema.String,
  instance: Schema.String,
  call: Schema.String,
  payload: Schema.String,
  outcome: Schema.NullOr(Schema.String),
  detail: Schema.NullOr(Schema.String),
  endedAt: optionalInstant
})
export type AuditEntry = typeof AuditEntry.Type
