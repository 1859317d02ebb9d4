import * as Effect from "effect/Effect"
import { type Timestamp, toMillis } from "../market/Timestamp.ts"
import { BadRange } from "./ApiErrors.ts"

export interface Range {
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/** The life of a market or an event. */
export interface Life {
  readonly openTime: Timestamp | null
  readonly closeTime: Timestamp | null
}

const dayMillis = 86_400_000
export const wholeLife = 3660

/** From the opening until now or the close, as far as nothing else is asked for. */
export const spanOf = Effect.fnUntraced(function* (life: Life, range: Range, nowMillis: number, days: number) {
  const ends = life.closeTime === null ? nowMillis : Math.min(nowMillis, toMillis(life.closeTime) + 60_000)
  const toMillisAt = range.to === undefined ? Math.max(ends, 0) : Date.parse(range.to)
  const opens = life.openTime === null ? 0 : toMillis(life.openTime)
  const fromMillisAt =
    range.from === undefined ? Math.max(opens, toMillisAt - days * dayMillis) : Date.parse(range.from)
  if (range.from !== undefined && range.to !== undefined && fromMillisAt >= toMillisAt)
    return yield* new BadRange({ problem: "`from` is not before `to`" })
  if (toMillisAt - fromMillisAt > days * dayMillis)
    return yield* new BadRange({ problem: `at most ${days} days at a time` })
  return { fromMillis: Math.min(fromMillisAt, toMillisAt), toMillis: toMillisAt }
})
