import * as Result from "effect/Result"
import { useCallback, useEffect, useRef, useState } from "preact/hooks"
import { type MarketQuote, type MarketRow, maxPageSize } from "../PortalApi.ts"
import { call, problemOf } from "./client.ts"

export interface Filter {
  readonly search: string
  readonly strikePeriod: "" | "hour" | "day"
}

export interface Markets {
  readonly rows: ReadonlyArray<MarketRow>
  readonly next: string | null
  readonly state: "loading" | "ready" | "failed"
  readonly more: () => void
  readonly reload: () => void
  readonly apply: (quotes: ReadonlyArray<MarketQuote>) => void
}

interface Shown {
  readonly rows: ReadonlyArray<MarketRow>
  readonly next: string | null
  readonly state: Markets["state"]
}

/** One table of markets: its pages, and the quotes that arrive in between. */
export const useMarkets = (table: "active" | "closed", filter: Filter, onSignedOut: () => void): Markets => {
  const [shown, setShown] = useState<Shown>({ rows: [], next: null, state: "loading" })
  const loaded = useRef(0)
  const turn = useRef(0)
  loaded.current = shown.rows.length

  const load = useCallback(
    async (after: string | undefined, limit: number | undefined) => {
      turn.current += 1
      const mine = turn.current
      const query = {
        ...(filter.search === "" ? {} : { search: filter.search }),
        ...(filter.strikePeriod === "" ? {} : { strikePeriod: filter.strikePeriod }),
        ...(after === undefined ? {} : { after }),
        ...(limit === undefined ? {} : { limit })
      }
      const page = await call((client) =>
        table === "active" ? client.markets.active({ query }) : client.markets.closed({ query })
      )
      if (mine !== turn.current) return
      if (Result.isFailure(page)) {
        if (problemOf(page.failure) === "SignInRequired") return onSignedOut()
        return setShown((before) => ({ ...before, state: "failed" }))
      }
      const { markets, next } = page.success
      setShown((before) => ({
        rows: after === undefined ? markets : [...before.rows, ...markets],
        next,
        state: "ready"
      }))
    },
    [table, filter.search, filter.strikePeriod]
  )

  useEffect(() => {
    setShown({ rows: [], next: null, state: "loading" })
    void load(undefined, undefined)
  }, [load])

  const reload = useCallback(
    () => void load(undefined, loaded.current === 0 ? undefined : Math.min(loaded.current, maxPageSize)),
    [load]
  )
  const apply = useCallback((quotes: ReadonlyArray<MarketQuote>) => {
    const byTicker = new Map(quotes.map((quote) => [quote.ticker, quote]))
    setShown((before) => ({
      ...before,
      rows: before.rows.map((row) => {
        const quote = byTicker.get(row.ticker)
        return quote === undefined || (row.lastTickAt ?? "") > (quote.lastTickAt ?? "") ? row : { ...row, ...quote }
      })
    }))
  }, [])

  return {
    ...shown,
    reload,
    apply,
    more: () => {
      if (shown.next !== null) void load(shown.next, undefined)
    }
  }
}
