import type { HealthReport } from "../runtime/Health.ts"

export interface FeedFacts {
  readonly open: boolean
  /** Since the last frame or ping of the exchange's server. */
  readonly silentSeconds: number
  /** Since the last market data. */
  readonly ageSeconds: number
  /** The watchdog misses data that is due, or asked for some in vain. */
  readonly suspect: boolean
}

/** A quiet market is well as long as the server pings; a dead link is not, nor one that is silent while much is due. */
export const feedReport = (facts: FeedFacts, staleSeconds: number): HealthReport => {
  const { ageSeconds, open, silentSeconds, suspect } = facts
  if (!open) return { ok: false, detail: "not connected", ageSeconds }
  if (silentSeconds >= staleSeconds)
    return { ok: false, detail: `no frame and no ping for ${Math.round(silentSeconds)} s`, ageSeconds }
  if (suspect) return { ok: false, detail: "connected, but no data though much is due", ageSeconds }
  const quiet = ageSeconds >= staleSeconds ? `; no data for ${Math.round(ageSeconds)} s, none was due` : ""
  return { ok: true, detail: `connected${quiet}`, ageSeconds }
}
