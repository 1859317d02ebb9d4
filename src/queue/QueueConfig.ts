import * as Setting from "../runtime/Setting.ts"
import { type JobType, jobTypes } from "./Job.ts"

const queueNames: Readonly<Record<JobType, string>> = {
  backfill_market: "kalshi.backfill",
  discover_market: "kalshi.discover",
  repair_gap: "kalshi.repair",
  cleanup_market: "kalshi.cleanup",
  archive_partition: "kalshi.archive"
}

const settingOf = (type: JobType) => `WORK_QUEUE_NAME_${type.toUpperCase()}`

/** How jobs are announced, by whoever enqueues and whoever works. */
export const signals = {
  broker: Setting.secret(
    "RABBITMQ_URL",
    "RabbitMQ that announces jobs, amqp://user:password@host:5672/ (amqps:// for TLS); unset: PostgreSQL's LISTEN/NOTIFY does"
  ),
  publish: Setting.boolean(
    "WORK_QUEUE_PUBLISH",
    "0: jobs are not announced, workers find them when they look (WORK_QUEUE_POLL_SECONDS)",
    true
  ),
  queueType: Setting.oneOf(
    "RABBITMQ_QUEUE_TYPE",
    "kind of the RabbitMQ queues that are made; they are durable either way",
    ["quorum", "classic"],
    "quorum"
  ),
  queueName: Setting.text(
    "WORK_QUEUE_NAME",
    "one RabbitMQ queue for all types of jobs; unset: one a type, see WORK_QUEUE_NAME_BACKFILL_MARKET and so on"
  ),
  ...(Object.fromEntries(
    jobTypes.map((type) => [
      type,
      Setting.text(settingOf(type), `RabbitMQ queue of ${type} jobs; unset: WORK_QUEUE_NAME, or ${queueNames[type]}`)
    ])
  ) as { readonly [T in JobType]: Setting.Setting<string | undefined> })
}

/** The RabbitMQ queue of each type. */
export const brokerQueues = (values: Setting.Values<typeof signals>): Readonly<Record<JobType, string>> =>
  Object.fromEntries(jobTypes.map((type) => [type, values[type] ?? values.queueName ?? queueNames[type]])) as Readonly<
    Record<JobType, string>
  >

export const enqueueing = {
  maxAttempts: Setting.int(
    "WORK_QUEUE_MAX_ATTEMPTS",
    "attempts after which a job is dead; one that its worker did not survive counts",
    5,
    { min: 1, max: 1000 }
  )
}

/** Whether rest gives work to workers. */
export const delegation = {
  enable: Setting.boolean(
    "WORK_QUEUE_ENABLE",
    "1: rest enqueues the heavy pulls for workers; 0: it does them itself",
    false
  )
}

export const working = {
  types: Setting.listOption(
    "WORK_QUEUE_JOB_TYPES",
    `types of jobs this worker takes, of ${jobTypes.join(", ")}; unset: all that it can do`,
    ["backfill_market"]
  ),
  concurrency: Setting.int("WORK_QUEUE_CONCURRENCY", "jobs that one worker runs at the same time", 4, {
    min: 1,
    max: 1000
  }),
  prefetch: Setting.int(
    "WORK_QUEUE_PREFETCH",
    "jobs that a worker takes beyond those it runs, while they are short",
    4,
    { min: 0, max: 10_000 }
  ),
  pollSeconds: Setting.number(
    "WORK_QUEUE_POLL_SECONDS",
    "seconds after which an idle worker looks for jobs that nobody announced",
    10,
    { min: 0.05, max: 3600 }
  ),
  retrySeconds: Setting.number(
    "WORK_QUEUE_RETRY_SECONDS",
    "seconds until the second attempt; doubles with each further one, up to an hour, give or take a fifth",
    60,
    { min: 0.01, max: 86_400 }
  ),
  leaseSeconds: Setting.number(
    "WORK_QUEUE_LEASE_SECONDS",
    "seconds after which the jobs of a worker that stopped answering go to others; a living one renews this all the time",
    10,
    { min: 1, max: 20 }
  ),
  lockTimeoutSeconds: Setting.number(
    "WORK_QUEUE_LOCK_TIMEOUT_SECONDS",
    "seconds that one attempt may take; then it is broken off and tried again",
    900,
    { min: 1, max: 86_400 }
  ),
  cleanupHours: Setting.number("WORK_QUEUE_CLEANUP_HOURS", "hours that finished jobs are kept, 0 for ever", 24, {
    min: 0,
    max: 100_000
  }),
  deadLetterDays: Setting.number("WORK_QUEUE_DEAD_LETTER_DAYS", "days that failed jobs are kept, 0 for ever", 30, {
    min: 0,
    max: 10_000
  }),
  workerId: Setting.text("WORK_QUEUE_WORKER_ID", "this worker's name in locked_by; unset: host-pid")
}
