import type { EventCard } from "../EventsApi.ts"
import { type Filter, isNarrowed, type Section } from "./filter.ts"
import { amount, chance, nothing, periodWord } from "./format.ts"
import { eventHref, Link } from "./router.tsx"
import { Empty, Failed, Skeleton } from "./states.tsx"
import { type Column, Table } from "./Table.tsx"
import { TimeLeft, WhenKnown } from "./times.tsx"
import type { Events } from "./useEvents.ts"

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

export const StatusPill = ({ status }: { readonly status: string | null }) => (
  <span class={`pill ${status ?? ""}`}>{status ?? "unknown"}</span>
)

export const Known = ({ text }: { readonly text: string | null }) => (
  <span class={text === null ? "quiet" : ""}>{text ?? nothing}</span>
)

const Name = ({ card }: { readonly card: EventCard }) => (
  <>
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
  </>
)

const event: Column<EventCard> = { name: "Event", heads: "title", cell: (card) => <Name card={card} /> }
const volume: Column<EventCard> = { name: "Volume", show: "wide", cell: (card) => amount(card.volume) }
const status: Column<EventCard> = { name: "Status", show: "mid", cell: (card) => <StatusPill status={card.status} /> }

const columns: Readonly<Record<Section, ReadonlyArray<Column<EventCard>>>> = {
  active: [
    event,
    { name: "Leading outcome", words: true, show: "mid", cell: ({ leaderName }) => leaderName ?? nothing },
    { name: "Chance", cell: ({ leaderMid }) => <Chance mid={leaderMid} /> },
    {
      name: "Model",
      show: "mid",
      cell: ({ forecast }) => <Known text={forecast === null ? null : chance(forecast)} />
    },
    volume,
    { name: "Closes in", cell: ({ closeTime }) => <TimeLeft time={closeTime} /> },
    status
  ],
  scheduled: [
    event,
    { name: "Outcomes", show: "mid", cell: ({ markets }) => markets },
    { name: "Opens", cell: ({ openTime }) => <WhenKnown time={openTime} /> },
    { name: "Closes", cell: ({ closeTime }) => <WhenKnown time={closeTime} /> },
    status
  ],
  closed: [
    event,
    { name: "Outcome", words: true, cell: ({ outcome }) => outcome ?? <span class="quiet">not yet</span> },
    volume,
    { name: "Closed", cell: ({ closeTime }) => <WhenKnown time={closeTime} /> },
    {
      name: "Record",
      show: "mid",
      cell: (card) =>
        card.complete ? "complete" : <span class="quiet">{`${card.settled} of ${card.markets} final`}</span>
    },
    status
  ]
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
        <Table rows={events.rows} keyOf={({ eventTicker }) => eventTicker} columns={columns[section]} />
      )}
      {events.next !== null && (
        <button type="button" class="more" onClick={events.more}>
          Load more
        </button>
      )}
    </section>
  )
}
