import { useContext } from "preact/hooks"
import type { HealthPage as Health } from "../SystemApi.ts"
import { When } from "./EventTable.tsx"
import { ExchangeContext, useNow } from "./exchange.ts"
import { bytes, count, nothing, span, utc } from "./format.ts"
import { Shell } from "./Shell.tsx"
import { Empty, Figure, Section, Shown } from "./states.tsx"
import { useAsk } from "./useAsk.ts"
import { useLive } from "./useLive.ts"

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
  <div class="scroll">
    <table>
      <thead>
        <tr>
          <th scope="col" class="text">
            Budget
          </th>
          <th scope="col">Tokens left</th>
          <th scope="col">Of</th>
          <th scope="col">A second</th>
        </tr>
      </thead>
      <tbody>
        {budgets.map((budget) => (
          <tr key={budget.key}>
            <th scope="row" class="text">
              {budget.key}
            </th>
            <td class={budget.tokens < 0 ? "alarm-text" : ""}>{count(Math.floor(budget.tokens))}</td>
            <td>{count(budget.capacity)}</td>
            <td>{count(budget.refillRate)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  </div>
)

const Feeds = ({ feeds }: { readonly feeds: Health["feeds"] }) => (
  <div class="scroll">
    <table>
      <thead>
        <tr>
          <th scope="col" class="text">
            Journal
          </th>
          <th scope="col">Slots</th>
          <th scope="col">Frames</th>
          <th scope="col">Lag</th>
        </tr>
      </thead>
      <tbody>
        {feeds.map((feed) => (
          <tr key={feed.journal}>
            <th scope="row" class="text">
              {feed.journal}
            </th>
            <td>{feed.slots}</td>
            <td>{count(feed.frames)}</td>
            <td
              class={(feed.lagSeconds ?? 0) > lateSeconds ? "alarm-text" : ""}
              title={feed.lastReceivedAt === null ? "" : utc(feed.lastReceivedAt)}
            >
              {feed.lagSeconds === null ? nothing : span(feed.lagSeconds)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  </div>
)

/** Most positions are instants in epoch seconds. */
const position = (value: string) =>
  /^1\d{9}$/.test(value) ? <When time={new Date(Number(value) * 1000).toISOString()} /> : value

export const HealthPage = () => {
  const health = useAsk("health", (client) => client.system.health(), 5)
  const { note } = useContext(ExchangeContext)
  const { exchange, speed } = useNow()
  const link = useLive("page=health", {
    onEvent: (event) => {
      if (event._tag === "Overview") note(event.overview)
    },
    onGap: health.reload,
    onRefused: health.reload
  })
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
                label="Newest tick, age"
                value={age(facts.newestTickAt)}
                title={facts.newestTickAt === null ? undefined : utc(facts.newestTickAt)}
              />
              <Figure
                label="Newest trade, age"
                value={age(facts.newestTradeAt)}
                title={facts.newestTradeAt === null ? undefined : utc(facts.newestTradeAt)}
              />
              <Figure label="Lifecycle, age" value={age(facts.newestLifecycleAt)} />
              <Figure label="Open gaps" value={count(facts.openGaps)} alarm={facts.openGaps > 0} />
              <Figure label="Gaps, day" value={count(facts.gapsLastDay)} />
              <Figure
                label="Quarantined, day"
                value={count(facts.quarantinedLastDay)}
                alarm={facts.quarantinedLastDay > 0}
              />
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
                <div class="scroll">
                  <table>
                    <thead>
                      <tr>
                        <th scope="col" class="text">
                          Loop
                        </th>
                        <th scope="col" class="text">
                          Position
                        </th>
                        <th scope="col">Moved</th>
                      </tr>
                    </thead>
                    <tbody>
                      {facts.cursors.map((cursor) => (
                        <tr key={cursor.key}>
                          <th scope="row" class="text">
                            {cursor.key}
                          </th>
                          <td class="text wrap">{position(cursor.value)}</td>
                          <td>{span(cursor.ageSeconds)} ago</td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              )}
            </Section>
          </>
        )}
      </Shown>
    </Shell>
  )
}
