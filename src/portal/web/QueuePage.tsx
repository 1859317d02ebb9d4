import * as Result from "effect/Result"
import { useState } from "preact/hooks"
import type { QueuePage as QueueFacts } from "../SystemApi.ts"
import { call } from "./client.ts"
import { When } from "./EventTable.tsx"
import { count, exactTime, nothing, span } from "./format.ts"
import { Shell } from "./Shell.tsx"
import { Empty, Section, Shown } from "./states.tsx"
import { useAsk, useThrottled } from "./useAsk.ts"
import { useLive } from "./useLive.ts"

const Jobs = (props: {
  readonly jobs: QueueFacts["running"]
  readonly nothingYet: string
  readonly onRetry?: (ids: ReadonlyArray<string>) => void
}) =>
  props.jobs.length === 0 ? (
    <Empty>{props.nothingYet}</Empty>
  ) : (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col" class="text">
              Job
            </th>
            <th scope="col" class="text">
              About
            </th>
            <th scope="col" class="mid">
              Priority
            </th>
            <th scope="col">Attempt</th>
            <th scope="col" class="mid">
              Entered
            </th>
            <th scope="col" class="text wide">
              Last error
            </th>
            {props.onRetry !== undefined && <th scope="col">Retry</th>}
          </tr>
        </thead>
        <tbody>
          {props.jobs.map((job) => (
            <tr key={job.id}>
              <th scope="row" class="text">
                {job.jobType}
              </th>
              <td class="text">{job.about}</td>
              <td class="mid">{job.priority}</td>
              <td>
                {job.attempts} of {job.maxAttempts}
              </td>
              <td class="mid">
                <When time={job.createdAt}>{exactTime(job.createdAt)}</When>
              </td>
              <td class="text wide wrap">{job.lastError ?? nothing}</td>
              {props.onRetry !== undefined && (
                <td>
                  <button type="button" onClick={() => props.onRetry?.([job.id])}>
                    Retry
                  </button>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )

const Counts = ({ counts }: { readonly counts: QueueFacts["counts"] }) =>
  counts.length === 0 ? (
    <Empty>The queue is empty, and nothing was done within the last hour.</Empty>
  ) : (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col" class="text">
              Type
            </th>
            <th scope="col">Ready</th>
            <th scope="col">Delayed</th>
            <th scope="col">Running</th>
            <th scope="col">Done, last hour</th>
            <th scope="col">Failed</th>
            <th scope="col" class="mid">
              Oldest waits
            </th>
          </tr>
        </thead>
        <tbody>
          {counts.map((row) => (
            <tr key={row.jobType}>
              <th scope="row" class="text">
                {row.jobType}
              </th>
              <td>{count(row.ready)}</td>
              <td>{count(row.delayed)}</td>
              <td>{count(row.running)}</td>
              <td>{count(row.doneLastHour)}</td>
              <td class={row.failed > 0 ? "alarm-text" : ""}>{count(row.failed)}</td>
              <td class="mid">{row.oldestReadySeconds === null ? nothing : span(row.oldestReadySeconds)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
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
                <Empty>No worker is running.</Empty>
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
