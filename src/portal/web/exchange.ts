import * as Result from "effect/Result"
import { createContext } from "preact"
import { useCallback, useContext, useEffect, useState } from "preact/hooks"
import type { Overview } from "../SystemApi.ts"
import { call } from "./client.ts"

interface Seen {
  readonly overview: Overview
  readonly at: number
}

export interface Exchange {
  readonly seen: Seen | undefined
  readonly note: (overview: Overview) => void
}

export const ExchangeContext = createContext<Exchange>({ seen: undefined, note: () => {} })

/** The last overview, whoever brought it. */
export const useOverview = (): Exchange => {
  const [seen, setSeen] = useState<Seen>()
  const note = useCallback((overview: Overview) => setSeen({ overview, at: Date.now() }), [])
  useEffect(() => {
    const read = async () => {
      const answer = await call((client) => client.system.overview())
      if (Result.isSuccess(answer)) note(answer.success)
    }
    void read()
    const timer = setInterval(() => void read(), 30_000)
    return () => clearInterval(timer)
  }, [])
  return { seen, note }
}

const ticking = new Set<(wall: number) => void>()
let ticker: ReturnType<typeof setInterval> | undefined

/** Tells every second what time it is; all who watch are told at once, so that a page is drawn once. */
const onTick = (tell: (wall: number) => void) => {
  ticking.add(tell)
  ticker ??= setInterval(() => {
    for (const watching of ticking) watching(Date.now())
  }, 1000)
  return () => {
    ticking.delete(tell)
    if (ticking.size > 0) return
    clearInterval(ticker)
    ticker = undefined
  }
}

/** A clock that ticks every second: ours, and the exchange's, carried on from the last overview. */
export const useNow = () => {
  const { seen } = useContext(ExchangeContext)
  const [wall, setWall] = useState(Date.now())
  useEffect(() => onTick(setWall), [])
  const speed = seen?.overview.exchangeSpeed ?? 1
  const exchange = seen === undefined ? wall : Date.parse(seen.overview.exchangeTime) + (wall - seen.at) * speed
  return { wall, exchange, speed, seen }
}
