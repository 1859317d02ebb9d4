import * as Normal from "./Normal.ts"

/** One market of an event, as the model sees it. Strikes are in the units of the underlying value. */
export interface Strike {
  readonly ticker: string
  /** YES above `floor`, below `cap`, between both, or of no number at all. */
  readonly kind: "above" | "below" | "between" | "other"
  readonly floor: number
  readonly cap: number
  /** What its quote says, 0 to 1; absent without a quote. */
  readonly seen: number | undefined
}

/** A market's mid at an instant, epoch milliseconds. */
export interface Past {
  readonly ticker: string
  readonly at: number
  readonly mid: number
}

/** Where the underlying value is expected at the close, and how far it may have moved by then. */
export interface Law {
  readonly location: number
  readonly spread: number
  /** What the quotes say of the spread now, and what their movement says; absent when it cannot be told. */
  readonly impliedSpread: number
  readonly realizedSpread: number | undefined
}

export interface Modelled {
  readonly law: Law | undefined
  readonly probabilities: ReadonlyMap<string, number>
}

export interface Scene {
  readonly strikes: ReadonlyArray<Strike>
  /** Exactly one outcome becomes YES. */
  readonly exclusive: boolean
  readonly now: number
  readonly close: number
  readonly history: ReadonlyArray<Past>
}

/** The chance that the value ends above `at`. */
interface Point {
  readonly at: number
  readonly above: number
}

/** An interval of a partition of the line. */
interface Bucket {
  readonly ticker: string
  readonly from: number
  readonly to: number
  readonly seen: number | undefined
}

/** Least moves of the location that tell a spread. */
const leastMoves = 8
/** Quotes flicker by whole ticks: that adds the same to the square of a long move and of a short one, so their difference is free of it. */
const longLag = 4
/** No outcome that is offered is quite impossible. */
const least = 1e-9
/** Points farther out say little: there a quote is a whole tick of price. */
const informative = (chance: number) => chance > 0.02 && chance < 0.98
const twoPercent = 2.054

/**
 * The event's value walks as a diffusion until the close (Bachelier): it ends normally distributed. Location and spread are fitted to
 * the chances that the quotes of all strikes imply; how much the location moved so far corrects the spread. Every market's probability is
 * then an area under one curve, so that a ladder of strikes is monotone; of exclusive outcomes the sum is 1. Markets without a
 * number have the mean of their recent mids. Empty when no market of the event has a quote.
 */
export const model = (scene: Scene): Modelled => {
  const probabilities = new Map<string, number>()
  if (scene.strikes.every(({ seen }) => seen === undefined)) return { law: undefined, probabilities }
  const buckets = scene.exclusive ? partition(scene.strikes) : []
  const law = lawOf(scene, buckets)
  const bounds = new Map(buckets.map((bucket) => [bucket.ticker, bucket]))
  const residual = restOf(scene.strikes)
  for (const strike of scene.strikes) {
    const chance =
      law === undefined || strike.kind === "other"
        ? (recent(scene, strike) ?? (scene.exclusive ? residual : undefined))
        : area(law, strike, bounds.get(strike.ticker))
    if (chance !== undefined) probabilities.set(strike.ticker, Math.max(clamp(chance), least))
  }
  if (scene.exclusive) normalize(probabilities)
  return { law, probabilities }
}

const clamp = (chance: number) => Math.min(1, Math.max(0, chance))

const normalize = (probabilities: Map<string, number>) => {
  const total = [...probabilities.values()].reduce((sum, chance) => sum + chance, 0)
  for (const [ticker, chance] of probabilities)
    probabilities.set(ticker, total > 0 ? chance / total : 1 / probabilities.size)
}

/** What is left for each outcome without a quote, of exclusive ones. */
const restOf = (strikes: ReadonlyArray<Strike>) => {
  const blind = strikes.filter(({ seen }) => seen === undefined).length
  const said = strikes.reduce((sum, { seen }) => sum + (seen ?? 0), 0)
  return blind === 0 ? 0 : Math.max(0, 1 - said) / blind
}

/** The mean of the last quarter of a market's known mids, the present one included. */
const recent = ({ close, history, now }: Scene, { seen, ticker }: Strike): number | undefined => {
  if (seen === undefined) return undefined
  const own = history.filter((past) => past.ticker === ticker && past.at <= now)
  const first = own[0]?.at ?? now
  const since = now - Math.min((now - first) / 4, Math.max(close - now, 0))
  const mids = [...own.filter(({ at }) => at >= since).map(({ mid }) => mid), seen]
  return mids.reduce((sum, mid) => sum + mid, 0) / mids.length
}

const area = (law: Law, strike: Strike, bucket: Bucket | undefined): number => {
  const below = (value: number) =>
    value === Number.POSITIVE_INFINITY
      ? 1
      : value === Number.NEGATIVE_INFINITY
        ? 0
        : Normal.cumulative((value - law.location) / law.spread)
  const above = (value: number) =>
    value === Number.NEGATIVE_INFINITY
      ? 1
      : value === Number.POSITIVE_INFINITY
        ? 0
        : Normal.cumulative((law.location - value) / law.spread)
  const [from, to] = bucket === undefined ? [strike.floor, strike.cap] : [bucket.from, bucket.to]
  if (strike.kind === "above") return above(from)
  if (strike.kind === "below") return below(to)
  return from > law.location ? above(from) - above(to) : below(to) - below(from)
}

/** Strikes of exclusive outcomes in order; a crack between neighbours (99.99 and 100) is cut in its middle. */
const partition = (strikes: ReadonlyArray<Strike>): ReadonlyArray<Bucket> => {
  const ordered = strikes
    .filter(({ kind }) => kind !== "other")
    .map(({ cap, floor, kind, seen, ticker }) => ({
      ticker,
      seen,
      from: kind === "below" ? Number.NEGATIVE_INFINITY : floor,
      to: kind === "above" ? Number.POSITIVE_INFINITY : cap
    }))
    .sort((a, b) => a.from - b.from || a.to - b.to)
  return ordered.map((bucket, index): Bucket => {
    const before = ordered[index - 1]
    const after = ordered[index + 1]
    return {
      ...bucket,
      from: before === undefined ? bucket.from : seam(before.to, bucket.from),
      to: after === undefined ? bucket.to : seam(bucket.to, after.from)
    }
  })
}

const seam = (end: number, start: number) =>
  Number.isFinite(end) && Number.isFinite(start) ? (end + start) / 2 : Number.isFinite(start) ? start : end

const pointsOf = (strikes: ReadonlyArray<Strike>, buckets: ReadonlyArray<Bucket>): ReadonlyArray<Point> => {
  if (buckets.some(({ seen }) => seen !== undefined)) {
    const total = buckets.reduce((sum, { seen }) => sum + (seen ?? 0), 0)
    if (total <= 0) return []
    let left = total
    return buckets.slice(0, -1).map(({ seen, to }) => {
      left -= seen ?? 0
      return { at: to, above: clamp(left / total) }
    })
  }
  return strikes.flatMap(({ cap, floor, kind, seen }) =>
    seen === undefined || kind === "other" || kind === "between"
      ? []
      : [kind === "above" ? { at: floor, above: seen } : { at: cap, above: 1 - seen }]
  )
}

const lawOf = (scene: Scene, buckets: ReadonlyArray<Bucket>): Law | undefined => {
  const points = [...pointsOf(scene.strikes, buckets)]
    .filter(({ above, at }) => Number.isFinite(at) && Number.isFinite(above))
    .sort((a, b) => a.at - b.at)
  const implied = regression(points) ?? bracket(points)
  if (implied === undefined || !Number.isFinite(implied.location) || !(implied.spread > 0)) return undefined
  const realized = realizedSpread(scene, buckets, implied.spread)
  const spread = realized === undefined ? implied.spread : Math.sqrt((implied.spread ** 2 + realized ** 2) / 2)
  return { location: implied.location, spread, impliedSpread: implied.spread, realizedSpread: realized }
}

interface Fit {
  readonly location: number
  readonly spread: number
}

/** A straight line through the normal scores of the informative points, weighted by how well each is known. */
const regression = (points: ReadonlyArray<Point>): Fit | undefined => {
  const used = points
    .filter(({ above }) => informative(above))
    .map(({ above, at }) => {
      const z = Normal.quantile(1 - above)
      return { at, z, weight: Normal.density(z) ** 2 / (above * (1 - above)) }
    })
  const weight = used.reduce((sum, point) => sum + point.weight, 0)
  if (used.length < 2) return undefined
  const mean = (of: (point: (typeof used)[number]) => number) =>
    used.reduce((sum, point) => sum + point.weight * of(point), 0) / weight
  const at = mean((point) => point.at)
  const z = mean((point) => point.z)
  const variance = mean((point) => (point.at - at) ** 2)
  const slope = mean((point) => (point.at - at) * (point.z - z)) / variance
  if (!(variance > 0) || !(slope > 0)) return undefined
  return { location: at - z / slope, spread: 1 / slope }
}

/** With fewer informative points: between the last strike that is almost certain and the first that is almost excluded. */
const bracket = (points: ReadonlyArray<Point>): Fit | undefined => {
  if (points.length === 0) return undefined
  const sure = points.findLast(({ above }) => above >= 0.5)?.at
  const excluded = points.find(({ above, at }) => above < 0.5 && (sure === undefined || at > sure))?.at
  const gaps = points.slice(1).map(({ at }, index) => at - points[index]!.at)
  const typical = gaps.filter((gap) => gap > 0).sort((a, b) => a - b)
  const step = typical[Math.floor(typical.length / 2)] ?? Math.max(Math.abs(points[0]!.at) * 0.005, 1e-6)
  const spread = (sure === undefined || excluded === undefined ? step : excluded - sure) / twoPercent
  const known = points.find(({ above }) => informative(above))
  if (known !== undefined) return { location: known.at - spread * Normal.quantile(1 - known.above), spread }
  if (sure !== undefined && excluded !== undefined) return { location: (sure + excluded) / 2, spread: spread / 2 }
  return { location: sure === undefined ? excluded! - 2 * spread : sure + 2 * spread, spread }
}

/** How far the location moves until the close if it goes on as it did; within a factor of three of what the quotes say. */
const realizedSpread = (scene: Scene, buckets: ReadonlyArray<Bucket>, implied: number): number | undefined => {
  const remaining = scene.close - scene.now
  if (!(remaining > 0)) return undefined
  const strikes = new Map(scene.strikes.map((strike) => [strike.ticker, strike]))
  const centres = new Map(
    buckets.map(({ from, ticker, to }) => [
      ticker,
      Number.isFinite(from) && Number.isFinite(to) ? (from + to) / 2 : Number.isFinite(from) ? from : to
    ])
  )
  const instants = new Map<number, Array<Past>>()
  for (const past of scene.history) {
    const there = instants.get(past.at)
    if (there === undefined) instants.set(past.at, [past])
    else there.push(past)
  }
  const track = [...instants]
    .sort(([a], [b]) => a - b)
    .flatMap(([at, pasts]) => {
      const spread = implied * Math.sqrt(Math.max(scene.close - at, 1) / remaining)
      const located = buckets.length > 0 ? centre(pasts, centres) : level(pasts, strikes, spread)
      return located === undefined ? [] : [{ at, ...located }]
    })
  const short = movesOf(track, 1)
  const long = movesOf(track, longLag)
  if (long === undefined || short === undefined) return undefined
  const variance = ((long.square - short.square) / (long.span - short.span)) * remaining
  return variance > 0 ? Math.min(3 * implied, Math.max(implied / 3, Math.sqrt(variance))) : undefined
}

interface Located {
  readonly at: number
  readonly location: number
  /** The markets that it was told from; others would tell another. */
  readonly of: string
}

/** Mean square and duration of the moves over `lag` instants. */
const movesOf = (track: ReadonlyArray<Located>, lag: number) => {
  const moves = track.slice(lag).flatMap((after, index) => {
    const before = track[index]!
    return after.of === before.of
      ? [{ square: (after.location - before.location) ** 2, span: after.at - before.at }]
      : []
  })
  if (moves.length < leastMoves) return undefined
  const mean = (of: (move: (typeof moves)[number]) => number) =>
    moves.reduce((sum, move) => sum + of(move), 0) / moves.length
  return { square: mean(({ square }) => square), span: mean(({ span }) => span) }
}

const centre = (pasts: ReadonlyArray<Past>, centres: ReadonlyMap<string, number>) => {
  const used = pasts.filter(({ ticker }) => centres.has(ticker))
  const weight = used.reduce((sum, { mid }) => sum + mid, 0)
  if (!(weight > 0)) return undefined
  return {
    location: used.reduce((sum, { mid, ticker }) => sum + mid * centres.get(ticker)!, 0) / weight,
    of: used.map(({ ticker }) => ticker).join()
  }
}

const level = (pasts: ReadonlyArray<Past>, strikes: ReadonlyMap<string, Strike>, spread: number) => {
  const used = pasts.flatMap(({ mid, ticker }) => {
    const strike = strikes.get(ticker)
    if (strike === undefined || !informative(mid)) return []
    if (strike.kind === "above") return [{ ticker, value: strike.floor - spread * Normal.quantile(1 - mid) }]
    return strike.kind === "below" ? [{ ticker, value: strike.cap - spread * Normal.quantile(mid) }] : []
  })
  if (used.length === 0) return undefined
  return {
    location: used.reduce((sum, { value }) => sum + value, 0) / used.length,
    of: used.map(({ ticker }) => ticker).join()
  }
}
