/** Scored forecasts whose probability lies in one narrow band. */
export interface Band {
  readonly scored: number
  /** Sums over them of the probability, of what YES was worth, and of the squared error. */
  readonly probabilities: number
  readonly outcomes: number
  readonly squares: number
}

/** A point of the calibration curve: of forecasts from `from` to `to`, the mean probability, and how often YES came. */
export interface CurvePoint {
  readonly from: number
  readonly to: number
  readonly scored: number
  readonly forecast: number
  readonly observed: number
}

export interface Calibration {
  readonly scored: number
  readonly brier: number
  /** Murphy's parts over the points: brier is about reliability − resolution + uncertainty. */
  readonly reliability: number
  readonly resolution: number
  readonly uncertainty: number
  /** Mean distance of the points from the diagonal, weighted by their number. */
  readonly expectedError: number
  readonly curve: ReadonlyArray<CurvePoint>
}

/** Bands of equal width over 0 to 1, joined into `points` points of a curve; points without forecasts are left out. */
export const calibration = (
  bands: ReadonlyMap<number, Band>,
  width: number,
  points: number
): Calibration | undefined => {
  const joined = new Map<number, Band>()
  for (const [index, band] of bands) {
    if (band.scored === 0) continue
    const point = Math.min(points - 1, Math.floor((index + 0.5) * width * points))
    const there = joined.get(point)
    joined.set(point, there === undefined ? band : add(there, band))
  }
  const total = [...joined.values()].reduce(add, { scored: 0, probabilities: 0, outcomes: 0, squares: 0 })
  if (total.scored === 0) return undefined
  const base = total.outcomes / total.scored
  const curve = [...joined]
    .sort(([a], [b]) => a - b)
    .map(
      ([point, { outcomes, probabilities, scored }]): CurvePoint => ({
        from: point / points,
        to: (point + 1) / points,
        scored,
        forecast: probabilities / scored,
        observed: outcomes / scored
      })
    )
  const mean = (of: (point: CurvePoint) => number) =>
    curve.reduce((sum, point) => sum + point.scored * of(point), 0) / total.scored
  return {
    scored: total.scored,
    brier: total.squares / total.scored,
    reliability: mean(({ forecast, observed }) => (forecast - observed) ** 2),
    resolution: mean(({ observed }) => (observed - base) ** 2),
    uncertainty: base * (1 - base),
    expectedError: mean(({ forecast, observed }) => Math.abs(forecast - observed)),
    curve
  }
}

const add = (a: Band, b: Band): Band => ({
  scored: a.scored + b.scored,
  probabilities: a.probabilities + b.probabilities,
  outcomes: a.outcomes + b.outcomes,
  squares: a.squares + b.squares
})
