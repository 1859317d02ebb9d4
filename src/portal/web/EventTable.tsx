import type { EventCard } from "../EventsApi.ts"
import { type Filter, isNarrowed, type Section } from "./filter.ts"
import { amount, localTime, nothing, percent, periodWord, span, utc } from "./format.ts"
import { eventHref, Link } from "./router.tsx"
import { Empty, Failed, Skeleton } from "./states.tsx"
import type { Events } from "./useEvents.ts"

export interface ClockNow {
  /** The exchange's clock, epoch milliseconds. */
  readonly now: number
  /** Seconds of exchange time per second of ours. */
  readonly speed: number
}

export const Chance = ({ mid, tone = "" }: { readonly mid: string | null; readonly tone?: string }) =>
  mid === null ? (
    <span class="quiet">{nothing}</span>
  ) : (
    <span class={`chance ${tone}`}>
      <svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="bar-ground" width="100" height="6" />
        <rect class="bar-level" width={Number(mid) * 100} height="6" />
      </svg>
      <span key={mid} class="told">
        {chance(mid)}
      </span>
    </span>
  )

/** A midpoint to a tenth of a per cent: its quote has the exact figures. */
const chance = (mid: string) => `${(Number(mid) * 100).toFixed(1)}%`

export const StatusPill = ({ status }: { readonly status: string | null }) => (
  <span class={`pill ${status ?? ""}`}>{status ?? "unknown"}</span>
)

export const When = ({ time, children }: { readonly time: string; readonly children?: string }) => (
  <time dateTime={time} title={utc(time)}>
    {children ?? localTime(time)}
  </time>
)

const timeLeft = (card: EventCard, { now, speed }: ClockNow) =>
  card.closeTime === null ? (
    nothing
  ) : (
    <When time={card.closeTime}>
      {Date.parse(card.closeTime) > now ? span((Date.parse(card.closeTime) - now) / 1000 / speed) : "closing"}
    </When>
  )

const columns = {
  active: ["Event", "Leading outcome", "Chance", "Model", "Volume", "Closes in", "Status"],
  scheduled: ["Event", "Outcomes", "Opens", "Closes", "Status"],
  closed: ["Event", "Outcome", "Volume", "Closed", "Record", "Status"]
} as const
const hiddenOn: Readonly<Record<string, string>> = {
  Model: "mid",
  "Leading outcome": "mid",
  Volume: "wide",
  Outcomes: "mid",
  Record: "mid",
  Status: "mid"
}
const leftAligned = new Set(["Event", "Leading outcome", "Outcome"])

const Name = ({ card }: { readonly card: EventCard }) => (
  <th scope="row" class="name">
    <Link href={eventHref(card.eventTicker)} title={card.eventTicker}>
      {card.title ?? card.eventTicker}
    </Link>
    <span class="facts">
      {[
        card.subTitle,
        card.category,
        periodWord(card.strikePeriod),
        card.markets === 1 ? "" : `${card.markets} outcomes`
      ]
        .filter((text) => text !== null && text !== "")
        .join(" · ")}
    </span>
    {card.status === "open" && card.leaderName !== null && <span class="facts phone">Leading: {card.leaderName}</span>}
  </th>
)

const Row = ({
  card,
  clock,
  section
}: {
  readonly card: EventCard
  readonly clock: ClockNow
  readonly section: Section
}) => {
  switch (section) {
    case "active":
      return (
        <tr>
          <Name card={card} />
          <td class="text mid">{card.leaderName ?? nothing}</td>
          <td>
            <Chance mid={card.leaderMid} />
          </td>
          <td class="mid">{card.forecast === null ? <span class="quiet">{nothing}</span> : percent(card.forecast)}</td>
          <td class="wide">{amount(card.volume)}</td>
          <td>{timeLeft(card, clock)}</td>
          <td class="mid">
            <StatusPill status={card.status} />
          </td>
        </tr>
      )
    case "scheduled":
      return (
        <tr>
          <Name card={card} />
          <td class="mid">{card.markets}</td>
          <td>{card.openTime === null ? nothing : <When time={card.openTime} />}</td>
          <td>{card.closeTime === null ? nothing : <When time={card.closeTime} />}</td>
          <td class="mid">
            <StatusPill status={card.status} />
          </td>
        </tr>
      )
    case "closed":
      return (
        <tr>
          <Name card={card} />
          <td class="text">{card.outcome ?? <span class="quiet">not yet</span>}</td>
          <td class="wide">{amount(card.volume)}</td>
          <td>{card.closeTime === null ? nothing : <When time={card.closeTime} />}</td>
          <td class="mid">
            {card.complete ? "complete" : <span class="quiet">{`${card.settled} of ${card.markets} final`}</span>}
          </td>
          <td class="mid">
            <StatusPill status={card.status} />
          </td>
        </tr>
      )
  }
}

const nothingYet: Readonly<Record<Section, string>> = {
  active: "No event trades now. They appear here as soon as discovery finds them.",
  scheduled: "No event is announced.",
  closed: "No event has closed yet."
}

export const EventTable = (props: {
  readonly section: Section
  readonly title: string
  readonly total: string
  readonly events: Events
  readonly clock: ClockNow
  readonly filter: Filter
}) => {
  const { events, section } = props
  return (
    <section aria-labelledby={`${section}-title`} aria-busy={events.state === "loading"}>
      <h2 id={`${section}-title`}>
        {props.title} <span class="quiet">{props.total}</span>
      </h2>
      {events.state === "failed" && <Failed onRetry={events.reload} stale={events.rows.length > 0} />}
      {events.state === "loading" && events.rows.length === 0 && <Skeleton />}
      {events.state === "ready" && events.rows.length === 0 && (
        <Empty>{isNarrowed(props.filter) ? "No event fits these filters." : nothingYet[section]}</Empty>
      )}
      {events.rows.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                {columns[section].map((name) => (
                  <th key={name} scope="col" class={`${hiddenOn[name] ?? ""} ${leftAligned.has(name) ? "text" : ""}`}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {events.rows.map((card) => (
                <Row key={card.eventTicker} card={card} clock={props.clock} section={section} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {events.next !== null && (
        <button type="button" class="more" onClick={events.more}>
          Load more
        </button>
      )}
    </section>
  )
}
