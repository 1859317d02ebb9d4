import type { HealthPage as Health } from "../SystemApi.ts"
import { useNow } from "./exchange.ts"
import { bytes, count, nothing, span, utc } from "./format.ts"
import { Link } from "./router.tsx"
import { Shell } from "./Shell.tsx"
import { Empty, Figure, Section, Shown } from "./states.tsx"
import { Table } from "./Table.tsx"
import { When } from "./times.tsx"
import { useAsk } from "./useAsk.ts"
import { useRecording } from "./useRecording.ts"

const silentAfterSeconds = 20
const lateSeconds = 60

const Instance = ({ it }: { readonly it: Health["instances"][number] }) => {
  const silent = it.silentSeconds > silentAfterSeconds
  const well = it.ok && !silent
  return (
    <li class={well ? "card" : "card alarm"}>
      <h3>
        <i class={`dot ${well ? "on" : "off"}`} /> {it.service}
        <span class="quiet small">{silent ? `silent for ${span(it.silentSeconds)}` : well ? "well" : "not well"}</span>
      </h3>
      <p class="quiet small">
        {it.host}, process {it.pid}, since <When time={it.startedAt} />
      </p>
      <ul class="parts">
        {Object.entries(it.parts).map(([name, part]) => (
          <li key={name} class={part.ok ? "" : "alarm-text"}>
            <strong>{name}</strong> {part.detail}
            {part.ageSeconds !== undefined && <span class="quiet"> · {span(part.ageSeconds)}</span>}
          </li>
        ))}
      </ul>
    </li>
  )
}

const Budgets = ({ budgets }: { readonly budgets: Health["budgets"] }) => (
  <Table
    rows={budgets}
    keyOf={({ key }) => key}
    columns={[
      { name: "Budget", heads: "name", tone: "wrap", cell: ({ key }) => key },
      {
        name: "Tokens left",
        tone: ({ tokens }) => (tokens < 0 ? "alarm-text" : ""),
        cell: ({ tokens }) => count(Math.floor(tokens))
      },
      { name: "Of", cell: ({ capacity }) => count(capacity) },
      { name: "A second", cell: ({ refillRate }) => count(refillRate) }
    ]}
  />
)

const Feeds = ({ feeds }: { readonly feeds: Health["feeds"] }) => (
  <Table
    rows={feeds}
    keyOf={({ journal }) => journal}
    columns={[
      { name: "Journal", heads: "name", tone: "wrap", cell: ({ journal }) => journal },
      { name: "Slots", cell: ({ slots }) => slots },
      { name: "Frames", cell: ({ frames }) => count(frames) },
      {
        name: "Lag",
        tone: ({ lagSeconds }) => ((lagSeconds ?? 0) > lateSeconds ? "alarm-text" : ""),
        title: ({ lastReceivedAt }) => (lastReceivedAt === null ? undefined : utc(lastReceivedAt)),
        cell: ({ lagSeconds }) => (lagSeconds === null ? nothing : span(lagSeconds))
      }
    ]}
  />
)

/** Most positions are instants in epoch seconds. */
const position = (value: string) =>
  /^1\d{9}$/.test(value) ? <When time={new Date(Number(value) * 1000).toISOString()} /> : value

export const HealthPage = () => {
  const health = useAsk("health", (client) => client.system.health(), 5)
  const { exchange, seen, speed } = useNow()
  const queue = seen?.overview.queue
  const link = useRecording(health.reload)
  const age = (time: string | null) => (time === null ? "none" : span((exchange - Date.parse(time)) / 1000 / speed))
  return (
    <Shell title="Health" link={link}>
      <div class="title">
        <h1>Health</h1>
      </div>
      <Shown asked={health}>
        {(facts) => (
          <>
            <dl class="figures">
              <Figure
                label="Tick age"
                value={age(facts.newestTickAt)}
                title={facts.newestTickAt === null ? undefined : utc(facts.newestTickAt)}
              />
              <Figure
                label="Trade age"
                value={age(facts.newestTradeAt)}
                title={facts.newestTradeAt === null ? undefined : utc(facts.newestTradeAt)}
              />
              <Figure label="Lifecycle age" value={age(facts.newestLifecycleAt)} />
              <Figure label="Open gaps" value={count(facts.openGaps)} alarm={facts.openGaps > 0} />
              <Figure label="Gaps, day" value={count(facts.gapsLastDay)} />
              <Figure
                label="Refused, day"
                value={count(facts.quarantinedLastDay)}
                title="Messages that could not be read, kept as they came"
                alarm={facts.quarantinedLastDay > 0}
              />
              {queue != null && (
                <Figure
                  label="Jobs waiting"
                  value={<Link href="/queue">{count(queue.waiting)}</Link>}
                  title={`${count(queue.running)} running, ${count(queue.failed)} failed, ${count(queue.workers)} workers`}
                  alarm={queue.failed > 0 || (queue.waiting > 0 && queue.workers === 0)}
                />
              )}
              <Figure label="Database" value={bytes(facts.databaseBytes)} />
            </dl>
            <Section id="programs" title="Programs" note={count(facts.instances.length)}>
              {facts.instances.length === 0 ? (
                <Empty>No program gives a sign of life.</Empty>
              ) : (
                <ul class="cards">
                  {facts.instances.map((instance) => (
                    <Instance key={instance.instance} it={instance} />
                  ))}
                </ul>
              )}
            </Section>
            <div class="columns">
              <Section id="feeds" title="Live feed">
                {facts.feeds.length === 0 ? <Empty>Nothing is recorded live.</Empty> : <Feeds feeds={facts.feeds} />}
              </Section>
              <Section id="budgets" title="Budget of exchange calls">
                {facts.budgets.length === 0 ? (
                  <Empty>No call was made yet.</Empty>
                ) : (
                  <Budgets budgets={facts.budgets} />
                )}
              </Section>
            </div>
            <Section id="cursors" title="Where the loops are">
              {facts.cursors.length === 0 ? (
                <Empty>No loop has got anywhere yet.</Empty>
              ) : (
                <Table
                  rows={facts.cursors}
                  keyOf={({ key }) => key}
                  columns={[
                    { name: "Loop", heads: "name", cell: ({ key }) => key },
                    { name: "Position", words: true, tone: "wrap", cell: ({ value }) => position(value) },
                    { name: "Moved", cell: ({ ageSeconds }) => `${span(ageSeconds)} ago` }
                  ]}
                />
              )}
            </Section>
          </>
        )}
      </Shown>
    </Shell>
  )
}
