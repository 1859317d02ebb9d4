import * as Metric from "effect/Metric"

const seconds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]

/** By `type` and `status`: ready, delayed, running, failed. */
export const depth = Metric.gauge("work_queue_jobs", { description: "Jobs in the queue" })
export const oldest = Metric.gauge("work_queue_oldest_seconds", {
  description: "Age of the oldest job that is ready, by type"
})
export const running = Metric.gauge("work_queue_running", { description: "Jobs that this worker runs now" })
export const held = Metric.gauge("work_queue_held", { description: "Jobs that this worker has claimed and not ended" })

export const done = Metric.counter("work_queue_done", { description: "Jobs done, by type", incremental: true })
export const failures = Metric.counter("work_queue_failures", {
  description: "Attempts that failed, by type",
  incremental: true
})
export const dead = Metric.counter("work_queue_dead", {
  description: "Jobs that will not be tried again, by type",
  incremental: true
})
export const rescued = Metric.counter("work_queue_rescued", {
  description: "Jobs taken from workers that stopped answering, by type",
  incremental: true
})
export const released = Metric.counter("work_queue_released", {
  description: "Jobs given back without an attempt being counted",
  incremental: true
})
export const fenced = Metric.counter("work_queue_fenced", {
  description: "Jobs that had gone to another worker when this one wanted to end them",
  incremental: true
})
export const leasesLost = Metric.counter("work_queue_leases_lost", {
  description: "Times this worker did not answer for too long",
  incremental: true
})

export const waited = Metric.histogram("work_queue_waited_seconds", {
  description: "From ready to claimed",
  boundaries: seconds
})
export const ran = Metric.histogram("work_queue_run_seconds", {
  description: "Run time of an attempt",
  boundaries: seconds
})

const byType = new WeakMap<object, Map<string, unknown>>()

/** The metric of one type: made once, because this is asked for every job. */
export const of = <Input, State>(metric: Metric.Metric<Input, State>, type: string): Metric.Metric<Input, State> => {
  const known = byType.get(metric) ?? new Map<string, unknown>()
  byType.set(metric, known)
  const made = (known.get(type) as Metric.Metric<Input, State> | undefined) ?? Metric.withAttributes(metric, { type })
  known.set(type, made)
  return made
}
