import * as Result from "effect/Result"
import { useCallback, useEffect, useRef, useState } from "preact/hooks"
import type { Overview } from "../PortalApi.ts"
import { call } from "./client.ts"
import { count, nothing, span } from "./format.ts"
import { Mark } from "./Mark.tsx"
import { MarketTable } from "./MarketTable.tsx"
import { type Link, useLive } from "./useLive.ts"
import { type Filter, useMarkets } from "./useMarkets.ts"

const quietTickSeconds = 60
const typingMillis = 250

const readFilter = (): Filter => {
  const query = new URLSearchParams(location.search)
  const period = query.get("period")
  return { search: query.get("q") ?? "", strikePeriod: period === "hour" || period === "day" ? period : "" }
}

const writeFilter = ({ search, strikePeriod }: Filter) => {
  const query = new URLSearchParams()
  if (search !== "") query.set("q", search)
  if (strikePeriod !== "") query.set("period", strikePeriod)
  history.replaceState(null, "", query.size === 0 ? location.pathname : `?${query}`)
}

const linkText: Readonly<Record<Link, string>> = {
  connecting: "connecting",
  live: "live",
  lost: "disconnected, trying again",
  blind: "stale: the database connection is lost"
}

const Figure = (props: { readonly label: string; readonly value: string; readonly alarm?: boolean }) => (
  <div class={props.alarm === true ? "figure alarm" : "figure"}>
    <dt>{props.label}</dt>
    <dd>{props.value}</dd>
  </div>
)

/** The exchange's clock now, carried on from the last overview. */
const exchangeNow = (seen: Seen | undefined, wall: number) =>
  seen === undefined ? wall : Date.parse(seen.overview.exchangeTime) + (wall - seen.at) * seen.overview.exchangeSpeed

interface Seen {
  readonly overview: Overview
  readonly at: number
}

const useSeconds = () => {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}

export const Dashboard = ({ onSignedOut }: { readonly onSignedOut: () => void }) => {
  const [filter, setFilter] = useState(readFilter)
  const [typed, setTyped] = useState(filter.search)
  const [seen, setSeen] = useState<Seen>()
  const active = useMarkets("active", filter, onSignedOut)
  const closed = useMarkets("closed", filter, onSignedOut)
  const searchField = useRef<HTMLInputElement>(null)
  const reloading = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const now = useSeconds()

  const loadOverview = useCallback(async () => {
    const overview = await call((client) => client.overview.get())
    if (Result.isSuccess(overview)) setSeen({ overview: overview.success, at: Date.now() })
    else if (overview.failure?._tag === "SignInRequired") onSignedOut()
  }, [])
  const reloadSoon = () => {
    reloading.current ??= setTimeout(
      () => {
        reloading.current = undefined
        active.reload()
        closed.reload()
      },
      300 + Math.random() * 1500
    )
  }
  const link = useLive({
    onEvent: (event) => {
      if (event._tag === "Overview") setSeen({ overview: event.overview, at: Date.now() })
      if (event._tag === "Quotes") active.apply(event.quotes)
      if (event._tag === "MarketsChanged") reloadSoon()
    },
    onGap: reloadSoon,
    onRefused: () => void loadOverview()
  })

  useEffect(() => void loadOverview(), [])
  useEffect(() => writeFilter(filter), [filter])
  useEffect(() => {
    const timer = setTimeout(() => setFilter((before) => ({ ...before, search: typed.trim() })), typingMillis)
    return () => clearTimeout(timer)
  }, [typed])
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target instanceof HTMLInputElement) return
      event.preventDefault()
      searchField.current?.focus()
    }
    addEventListener("keydown", onKey)
    return () => removeEventListener("keydown", onKey)
  }, [])

  const logout = async () => {
    await call((client) => client.session.logout())
    onSignedOut()
  }

  const overview = seen?.overview
  const about = overview?.exact === false ? "≈ " : ""
  const figure = (value: number | undefined) => (value === undefined ? nothing : count(value))
  const age =
    overview?.newestTickAgeSeconds == null
      ? undefined
      : overview.newestTickAgeSeconds + (now - (seen?.at ?? now)) / 1000
  const filtered = filter.search !== "" || filter.strikePeriod !== ""
  const clock = exchangeNow(seen, now)
  const speed = overview?.exchangeSpeed ?? 1

  return (
    <>
      <header>
        <div class="brand">
          <Mark />
          <h1>Kalshi recorder</h1>
          {overview?.simulated === true && (
            <span class="badge" title={`Its clock runs ${speed} times as fast as ours.`}>
              simulated exchange{speed === 1 ? "" : ` · ${speed}×`}
            </span>
          )}
        </div>
        <nav aria-label="Portal">
          <span class={`link ${link}`} role="status">
            {linkText[link]}
          </span>
          <a href="/docs">API</a>
          <button type="button" class="plain" onClick={() => void logout()}>
            Sign out
          </button>
        </nav>
      </header>
      <main class={link === "lost" || link === "blind" ? "stale" : ""}>
        <dl class="figures">
          <Figure label="Trading now" value={figure(overview?.active)} />
          <Figure label="Closed" value={overview === undefined ? nothing : about + count(overview.closed)} />
          <Figure label="Settled" value={overview === undefined ? nothing : about + count(overview.settled)} />
          <Figure label="Events" value={overview === undefined ? nothing : about + count(overview.events)} />
          <Figure
            label={
              overview === undefined || overview.ticksWindowSeconds >= 60
                ? "Ticks in the last minute"
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
        <search class="filters">
          <input
            ref={searchField}
            type="search"
            aria-label="Search markets"
            aria-keyshortcuts="/"
            placeholder="Search ticker, title or outcome"
            maxLength={200}
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
          <fieldset>
            <legend class="hidden">Strike period</legend>
            {(["", "hour", "day"] as const).map((period) => (
              <label key={period}>
                <input
                  type="radio"
                  name="period"
                  checked={filter.strikePeriod === period}
                  onChange={() => setFilter((before) => ({ ...before, strikePeriod: period }))}
                />
                <span>{period === "" ? "All" : period === "hour" ? "Hourly" : "Daily"}</span>
              </label>
            ))}
          </fieldset>
        </search>
        <MarketTable
          table="active"
          title="Trading now"
          total={filtered ? "" : figure(overview?.active)}
          markets={active}
          filtered={filtered}
          now={clock}
          speed={speed}
        />
        <MarketTable
          table="closed"
          title="Closed"
          total={filtered || overview === undefined ? "" : about + count(overview.closed)}
          markets={closed}
          filtered={filtered}
          now={clock}
          speed={speed}
        />
      </main>
    </>
  )
}
