import * as Setting from "../runtime/Setting.ts"

export const modes = ["all", "ws-worker", "ws", "worker", "rest", "predictor"] as const
export type Mode = (typeof modes)[number]

const seconds = { min: 1, max: 86_400 }

/** What the launcher of slurm/ reads beside the settings of the programs that it starts. */
export const settings = {
  dataHost: Setting.textOr(
    "PGDATA_HOST",
    "folder of the database and all that belongs to it, on storage that every node sees; one job at a time uses it",
    ".data/cluster"
  ),
  port: Setting.portNumber("POSTGRES_PORT", "wanted port of the database; a free one where it is taken", 55432),
  listen: Setting.textOr(
    "POSTGRES_LISTEN",
    "addresses the database listens on; * lets workers of other nodes in",
    "127.0.0.1"
  ),
  allow: Setting.textOr(
    "POSTGRES_ALLOW",
    "who may connect from other nodes, as pg_hba.conf writes it: samenet, 10.0.0.0/8",
    "samenet"
  ),
  maxConnections: Setting.int("POSTGRES_MAX_CONNECTIONS", "most connections of the database", 100, {
    min: 20,
    max: 2000
  }),
  fsync: Setting.boolean(
    "POSTGRES_FSYNC",
    "0 is faster and loses the whole database when the node crashes: never for data that you want to keep",
    true
  ),
  mode: Setting.oneOf("INGESTOR_MODE", "which programs a job runs", modes, "all"),
  workers: Setting.int("WORK_QUEUE_WORKERS", "worker processes of a job", 0, { min: 0, max: 64 }),
  portal: Setting.boolean("WEB_PORTAL_ENABLE", "1 runs the portal in the job", false),
  applyRoles: Setting.oneOf(
    "APPLY_ROLES",
    "gives each program a database user of its own, which may do what it needs and no more; auto: yes",
    ["auto", "0", "1"],
    "auto"
  ),
  beat: Setting.number("LEASE_BEAT_SECONDS", "seconds between heartbeats of the lease of PGDATA_HOST", 5, {
    min: 0.1,
    max: 60
  }),
  fence: Setting.number(
    "LEASE_FENCE_SECONDS",
    "a job that could not renew its lease for this long stops its database at once",
    30,
    seconds
  ),
  take: Setting.number(
    "LEASE_TAKE_SECONDS",
    "a job that has ended without releasing its lease must have been silent for this long; twice LEASE_FENCE_SECONDS or more",
    90,
    seconds
  ),
  gone: Setting.text(
    "LEASE_GONE",
    "id of a holder whose machine is gone for good, for one start: its lease is taken without a proof"
  ),
  drain: Setting.number("DRAIN_SECONDS", "the database waits this long for the programs to let go", 25, {
    min: 0,
    max: 600
  })
}

/** Set by the scripts, not by people. */
export const ofScript = {
  /** Names this start of the job. */
  run: Setting.textOr("CLUSTER_RUN", "", "by-hand"),
  /** A folder of this start on this node. */
  runDirectory: Setting.text("CLUSTER_RUN_DIR", ""),
  jobId: Setting.text("SLURM_JOB_ID", ""),
  restart: Setting.int("SLURM_RESTART_COUNT", "", 0, { min: 0, max: 1_000_000 }),
  cluster: Setting.textOr("SLURM_CLUSTER_NAME", "", "cluster"),
  /** Words: the jobs of this user that have not ended. */
  liveJobs: Setting.text("CLUSTER_LIVE_JOBS", "")
}
