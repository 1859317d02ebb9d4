import { day, hour } from "./Calendar.ts"
import { combine, hash, unit, wander } from "./Random.ts"

/** What a market is about: a price that walks, or a day's highest temperature. */
export interface Asset {
  readonly name: string
  readonly base: number
  /** Relative movement in one hour. */
  readonly hourly: number
  /** Decimals of the published value. */
  readonly decimals: number
}

/** The published value of an asset at an instant, a pure function of the seed. */
export const priceAt = (seed: number, asset: Asset, millis: number): number =>
  asset.base * Math.exp(asset.hourly * wander(combine(seed, hash(asset.name)), millis))

export const published = (asset: Asset, value: number): number => {
  const scale = 10 ** asset.decimals
  return Math.round(value * scale) / scale
}

const logistic = (z: number): number => 1 / (1 + Math.exp(-1.702 * z))

/** The chance that the asset ends above `strike` after `remaining` milliseconds. */
export const chanceAbove = (asset: Asset, value: number, strike: number, remaining: number): number => {
  const spread = asset.hourly * Math.sqrt(Math.max(remaining, 4_000) / hour)
  return logistic(Math.log(value / strike) / spread)
}

/** The highest temperature of a local day, in whole degrees Fahrenheit. */
export const highestTemperature = (seed: number, city: Asset, dayNumber: number): number => {
  const season = Math.sin(((dayNumber - 110) / 365.25) * 2 * Math.PI) * 22
  const weather = wander(combine(seed, hash(city.name)), dayNumber * day * 0.2) * 2
  return Math.round(city.base + season + weather + unit(combine(hash(city.name) ^ seed, dayNumber)) * 6 - 3)
}

/** The chance that the day's high is above `strike`, as a forecast `remaining` milliseconds before the end. */
export const chanceWarmer = (
  seed: number,
  city: Asset,
  dayNumber: number,
  strike: number,
  millis: number,
  remaining: number
): number => {
  const spread = 0.25 + 3 * Math.sqrt(Math.max(remaining - 6 * hour, 0) / (30 * hour))
  const truth = highestTemperature(seed, city, dayNumber)
  const drift = wander(combine(seed ^ dayNumber, hash(city.name)), millis) * spread * 0.12
  return logistic((truth + drift - strike) / spread)
}
