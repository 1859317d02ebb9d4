import { useContext, useEffect, useMemo, useRef, useState } from "preact/hooks"
import type { EventCount } from "../EventsApi.ts"
import { EventTable } from "./EventTable.tsx"
import { ExchangeContext, useNow } from "./exchange.ts"
import { FilterBar } from "./FilterBar.tsx"
import { type Filter, readFilter, readOpened, writeFilter } from "./filter.ts"
import { count, nothing, span } from "./format.ts"
import { replaceQuery } from "./router.tsx"
import { Shell } from "./Shell.tsx"
import { Figure } from "./states.tsx"
import { useAsk } from "./useAsk.ts"
import { useEvents } from "./useEvents.ts"
import { useLive } from "./useLive.ts"
import { Vitals } from "./Vitals.tsx"

const quietTickSeconds = 60
const typingMillis = 250

const total = (counts: ReadonlyArray<EventCount> | undefined, section: EventCount["section"], filter: Filter) => {
  if (counts === undefined || filter.search !== "" || filter.closeWindow !== "") return ""
  const matching = counts.filter(
    (found) =>
      found.section === section &&
      (filter.categories.length === 0 || filter.categories.includes(found.category)) &&
      (filter.strikePeriod === "" || found.strikePeriod === filter.strikePeriod) &&
      (filter.status === "" || found.status === filter.status)
  )
  return count(matching.reduce((sum, { events }) => sum + events, 0))
}

export const IndexPage = () => {
  const [filter, setFilter] = useState<Filter>(() => readFilter(location.search))
  const [typed, setTyped] = useState(filter.search)
  const { seen, wall } = useNow()
  const counts = useAsk("counts", (client) => client.events.counts())
  const [opened] = useState(() => ({
    active: readOpened(location.search, "active"),
    scheduled: readOpened(location.search, "scheduled"),
    closed: readOpened(location.search, "closed")
  }))
  const active = useEvents("active", filter, opened.active)
  const scheduled = useEvents("scheduled", filter, opened.scheduled)
  const closed = useEvents("closed", filter, opened.closed)
  const reloading = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const { note } = useContext(ExchangeContext)

  const reloadSoon = () => {
    reloading.current ??= setTimeout(
      () => {
        reloading.current = undefined
        for (const table of [active, scheduled, closed]) table.reload()
        counts.reload()
      },
      500 + Math.random() * 2000
    )
  }
  const link = useLive("page=index", {
    onEvent: (event) => {
      if (event._tag === "Overview") note(event.overview)
      if (event._tag === "CardQuotes") active.apply(event.quotes)
      if (event._tag === "CardsChanged") reloadSoon()
    },
    onGap: reloadSoon,
    onRefused: counts.reload
  })

  useEffect(() => {
    const query = writeFilter(filter)
    for (const [section, rows] of Object.entries({
      active: active.opened,
      scheduled: scheduled.opened,
      closed: closed.opened
    }))
      if (rows > 0) query.set(section, String(rows))
    replaceQuery(query)
  }, [filter, active.opened, scheduled.opened, closed.opened])
  useEffect(() => {
    const timer = setTimeout(
      () => setFilter((before) => (before.search === typed.trim() ? before : { ...before, search: typed.trim() })),
      typingMillis
    )
    return () => clearTimeout(timer)
  }, [typed])

  const categories = useMemo(
    () =>
      [...new Set((counts.value ?? []).map(({ category }) => category))]
        .filter((category) => category !== "")
        .toSorted(),
    [counts.value]
  )
  const periods = useMemo(
    () => [...new Set((counts.value ?? []).map(({ strikePeriod }) => strikePeriod))].filter((period) => period !== ""),
    [counts.value]
  )
  const overview = seen?.overview
  const figure = (value: number | undefined) => (value === undefined ? nothing : count(value))
  const age =
    overview?.newestTickAgeSeconds == null
      ? undefined
      : overview.newestTickAgeSeconds + (wall - (seen?.at ?? wall)) / 1000
  const shown = (section: EventCount["section"]) =>
    filter.status === "" ||
    (section === "active" && (filter.status === "open" || filter.status === "paused")) ||
    (section === "scheduled" && filter.status === "scheduled") ||
    (section === "closed" && (filter.status === "closed" || filter.status === "settled"))
  const tables = [
    { section: "active", title: "Trading now", events: active },
    { section: "scheduled", title: "Scheduled", events: scheduled },
    { section: "closed", title: "Closed", events: closed }
  ] as const

  return (
    <Shell title="" link={link}>
      <h1 class="hidden">Markets</h1>
      <dl class="figures">
        <Figure
          label="Events trading"
          value={figure(overview?.activeEvents)}
          title={`${figure(overview?.active)} markets`}
        />
        <Figure label="Scheduled" value={figure(overview?.scheduledEvents)} />
        <Figure label="Closed" value={figure(overview?.closedEvents)} />
        <Figure
          label="Complete"
          value={figure(overview?.completeEvents)}
          title="Closed events whose results, settlements and candles are all stored"
        />
        <Figure
          label={
            overview === undefined || overview.ticksWindowSeconds >= 60
              ? "Ticks, last minute"
              : `Ticks in ${overview.ticksWindowSeconds} s`
          }
          value={figure(overview?.ticksStored)}
        />
        <Figure
          label="Newest tick"
          value={age === undefined ? "none yet" : `${span(age)} ago`}
          alarm={age !== undefined && age > quietTickSeconds}
        />
        <Figure label="Open gaps" value={figure(overview?.openGaps)} alarm={(overview?.openGaps ?? 0) > 0} />
      </dl>
      <Vitals overview={overview} periods={periods} />
      <FilterBar
        filter={filter}
        typed={typed}
        categories={categories}
        onType={setTyped}
        onChange={(change) => setFilter((before) => ({ ...before, ...change }))}
      />
      {tables.map(
        ({ events, section, title }) =>
          shown(section) && (
            <EventTable
              key={section}
              section={section}
              title={title}
              total={total(counts.value, section, filter)}
              events={events}
              filter={filter}
            />
          )
      )}
    </Shell>
  )
}
