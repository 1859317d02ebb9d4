export interface Sample {
  readonly seconds: number
  readonly rssMb: number
  readonly lagP99Ms: number
  readonly backlogBytes: number
}

const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/** The slope of the least-squares line, per hour. */
const slopePerHour = (points: ReadonlyArray<readonly [seconds: number, value: number]>): number => {
  const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [x, y] = [mean(points.map(([at]) => at)), mean(points.map(([, value]) => value))]
  const spread = points.reduce((sum, [at]) => sum + (at - x) ** 2, 0)
  return spread === 0 ? 0 : (points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0) / spread) * 3600
}

/** A second third this much lower than the last one is growth. */
const most = 1.15
/** Growth below these is noise of the collector and of the scheduler. */
const rssNoiseMb = 15
const lagNoiseMs = 100
const backlogNoiseBytes = 8 * 1024 * 1024

/**
 * Whether memory, lag and backlog have stopped growing: the first third is warm-up; the median of the last third is at most 1.15 times
 * that of the second third (or the difference is noise). Fewer than six samples say nothing, and are not flat.
 */
export const flatness = (samples: ReadonlyArray<Sample>) => {
  const third = Math.floor(samples.length / 3)
  const second = samples.slice(third, samples.length - third)
  const last = samples.slice(samples.length - third)
  const steady = (of: (sample: Sample) => number, noise: number) => {
    const [before, after] = [median(second.map(of)), median(last.map(of))]
    return after <= before * most || after - before <= noise
  }
  const rss = samples.map(({ rssMb }) => rssMb)
  return {
    rssMb: {
      first: rss[0] ?? 0,
      last: rss.at(-1) ?? 0,
      max: Math.max(0, ...rss),
      slopeMbPerHour: Math.round(slopePerHour(samples.slice(third).map(({ rssMb, seconds }) => [seconds, rssMb])))
    },
    lagP99Ms: { first: samples[0]?.lagP99Ms ?? 0, last: samples.at(-1)?.lagP99Ms ?? 0 },
    flat:
      samples.length >= 6 &&
      steady(({ rssMb }) => rssMb, rssNoiseMb) &&
      steady(({ lagP99Ms }) => lagP99Ms, lagNoiseMs) &&
      steady(({ backlogBytes }) => backlogBytes, backlogNoiseBytes)
  }
}
