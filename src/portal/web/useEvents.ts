import * as Result from "effect/Result"
import { useCallback, useEffect, useRef, useState } from "preact/hooks"
import { maxPageSize } from "../ApiFields.ts"
import type { EventCard } from "../EventsApi.ts"
import type { CardQuote } from "../LiveApi.ts"
import { useSignedOut } from "./access.ts"
import { call, problemOf } from "./client.ts"
import type { Filter, Section } from "./filter.ts"

interface Shown {
  readonly rows: ReadonlyArray<EventCard>
  readonly next: string | null
  readonly state: "loading" | "ready" | "failed"
}

export interface Events extends Shown {
  /** How many rows the reader opened beyond the first page; 0 for none. */
  readonly opened: number

  readonly more: () => void
  readonly reload: () => void
  readonly apply: (quotes: ReadonlyArray<CardQuote>) => void
}

/** One table of events: its pages, and the quotes that arrive in between. `opened`: how many rows to begin with, 0 for a page. */
export const useEvents = (section: Section, filter: Filter, opened: number): Events => {
  const [isOpened, setIsOpened] = useState(opened > 0)
  const begins = useRef(opened)
  const onSignedOut = useSignedOut()
  const [shown, setShown] = useState<Shown>({ rows: [], next: null, state: "loading" })
  const loaded = useRef(0)
  const turn = useRef(0)
  loaded.current = shown.rows.length

  const load = useCallback(
    async (after: string | undefined, limit: number | undefined) => {
      turn.current += 1
      const mine = turn.current
      const query = {
        section,
        sort: filter.sort,
        ...(filter.order === "" ? {} : { order: filter.order }),
        ...(filter.search === "" ? {} : { search: filter.search }),
        ...(filter.categories.length === 0 ? {} : { category: filter.categories.join("|") }),
        ...(filter.strikePeriod === "" ? {} : { strikePeriod: filter.strikePeriod }),
        ...(filter.status === "" ? {} : { status: filter.status }),
        ...(filter.closeWindow === "" ? {} : { closeWindow: filter.closeWindow }),
        ...(after === undefined ? {} : { after }),
        ...(limit === undefined ? {} : { limit })
      }
      const page = await call((client) => client.events.list({ query }))
      if (mine !== turn.current) return
      if (Result.isFailure(page)) {
        if (problemOf(page.failure) === "SignInRequired") return onSignedOut()
        return setShown((before) => ({ ...before, state: "failed" }))
      }
      const { events, next } = page.success
      setShown((before) => {
        const known = new Set(after === undefined ? [] : before.rows.map(({ eventTicker }) => eventTicker))
        const added = events.filter(({ eventTicker }) => !known.has(eventTicker))
        return { rows: after === undefined ? events : [...before.rows, ...added], next, state: "ready" }
      })
    },
    [section, filter]
  )

  useEffect(() => {
    setShown((before) => ({ ...before, state: before.rows.length === 0 ? "loading" : "ready" }))
    void load(undefined, begins.current === 0 ? undefined : begins.current)
    setIsOpened(begins.current > 0)
    begins.current = 0
  }, [load])

  const reload = useCallback(
    () => void load(undefined, loaded.current === 0 ? undefined : Math.min(loaded.current, maxPageSize)),
    [load]
  )
  const apply = useCallback((quotes: ReadonlyArray<CardQuote>) => {
    const byTicker = new Map(quotes.map((quote) => [quote.eventTicker, quote]))
    setShown((before) => ({
      ...before,
      rows: before.rows.map((row) => {
        const quote = byTicker.get(row.eventTicker)
        return quote === undefined ? row : { ...row, ...quote }
      })
    }))
  }, [])

  return {
    ...shown,
    reload,
    apply,
    opened: isOpened ? shown.rows.length : 0,
    more: () => {
      if (shown.next === null) return
      setIsOpened(true)
      void load(shown.next, undefined)
    }
  }
}
