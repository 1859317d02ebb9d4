import * as Result from "effect/Result"
import { useState } from "preact/hooks"
import type { QueuePage as QueueFacts } from "../SystemApi.ts"
import { call } from "./client.ts"
import { count, exactTime, nothing, span } from "./format.ts"
import { Shell } from "./Shell.tsx"
import { Empty, None, Section, Shown } from "./states.tsx"
import { type Column, Table } from "./Table.tsx"
import { When } from "./times.tsx"
import { useAsk, useThrottled } from "./useAsk.ts"
import { useLive } from "./useLive.ts"

type Job = QueueFacts["running"][number]

const jobColumns: ReadonlyArray<Column<Job>> = [
  { name: "Job", heads: "name", cell: ({ jobType }) => jobType },
  { name: "About", words: true, cell: ({ about }) => about },
  { name: "Priority", show: "mid", cell: ({ priority }) => priority },
  { name: "Attempt", cell: ({ attempts, maxAttempts }) => `${attempts} of ${maxAttempts}` },
  { name: "Entered", show: "mid", cell: ({ createdAt }) => <When time={createdAt}>{exactTime(createdAt)}</When> },
  { name: "Last error", words: true, show: "wide", tone: "wrap", cell: ({ lastError }) => lastError ?? nothing }
]

const Jobs = (props: {
  readonly jobs: ReadonlyArray<Job>
  readonly nothingYet: string
  readonly onRetry?: (ids: ReadonlyArray<string>) => void
}) => {
  const { jobs, onRetry } = props
  if (jobs.length === 0) return <None>{props.nothingYet}</None>
  const retry: Column<Job> = {
    name: "Retry",
    cell: ({ id }) => (
      <button type="button" onClick={() => onRetry?.([id])}>
        Retry
      </button>
    )
  }
  return (
    <Table rows={jobs} keyOf={({ id }) => id} columns={onRetry === undefined ? jobColumns : [...jobColumns, retry]} />
  )
}

const Counts = ({ counts }: { readonly counts: QueueFacts["counts"] }) =>
  counts.length === 0 ? (
    <Empty>The queue is empty, and nothing was done within the last hour.</Empty>
  ) : (
    <Table
      rows={counts}
      keyOf={({ jobType }) => jobType}
      columns={[
        { name: "Type", heads: "name", cell: ({ jobType }) => jobType },
        { name: "Ready", cell: ({ ready }) => count(ready) },
        { name: "Delayed", cell: ({ delayed }) => count(delayed) },
        { name: "Running", cell: ({ running }) => count(running) },
        { name: "Done, last hour", show: "mid", cell: ({ doneLastHour }) => count(doneLastHour) },
        {
          name: "Failed",
          tone: ({ failed }) => (failed > 0 ? "alarm-text" : ""),
          cell: ({ failed }) => count(failed)
        },
        {
          name: "Oldest waits",
          show: "mid",
          cell: ({ oldestReadySeconds }) => (oldestReadySeconds === null ? nothing : span(oldestReadySeconds))
        }
      ]}
    />
  )

export const QueuePage = () => {
  const queue = useAsk("queue", (client) => client.system.queue(), 10)
  const [said, setSaid] = useState("")
  const reloadSoon = useThrottled(queue.reload, 1000)
  const link = useLive("page=queue", {
    onEvent: (event) => {
      if (event._tag === "QueueChanged") reloadSoon()
    },
    onGap: reloadSoon,
    onRefused: queue.reload
  })
  const retry = async (ids: ReadonlyArray<string>) => {
    const answer = await call((client) => client.queueActions.retry({ payload: { ids } }))
    setSaid(Result.isSuccess(answer) ? `${answer.success.retried} set going again.` : "Not done; try again later.")
    queue.reload()
  }
  return (
    <Shell title="Queue" link={link}>
      <div class="title">
        <h1>Work queue</h1>
        <p role="status" class="quiet">
          {said}
        </p>
      </div>
      <Shown asked={queue}>
        {(facts) => (
          <>
            <Counts counts={facts.counts} />
            <Section id="workers" title="Workers" note={count(facts.workers.length)}>
              {facts.workers.length === 0 ? (
                <None>No worker is running.</None>
              ) : (
                <ul class="cards">
                  {facts.workers.map((worker) => (
                    <li key={worker.instance} class="card">
                      <h3>{worker.host}</h3>
                      <p class="quiet small">
                        process {worker.pid}, seen {span(worker.silentSeconds)} ago
                      </p>
                      <p class="small">{worker.jobTypes.join(", ")}</p>
                    </li>
                  ))}
                </ul>
              )}
            </Section>
            <Section id="running" title="Running">
              <Jobs jobs={facts.running} nothingYet="Nothing runs now." />
            </Section>
            <Section id="waiting" title="Waiting" note={facts.waiting.length === 50 ? "first 50" : ""}>
              <Jobs jobs={facts.waiting} nothingYet="Nothing waits." />
            </Section>
            <Section id="failed" title="Failed for good" note={facts.failed.length === 50 ? "newest 50" : ""}>
              <Jobs jobs={facts.failed} nothingYet="Nothing failed for good." onRetry={(ids) => void retry(ids)} />
            </Section>
          </>
        )}
      </Shown>
    </Shell>
  )
}
