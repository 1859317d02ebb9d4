/** A 32-bit hash of text, the same on every platform. */
export const hash = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    h ^= text.charCodeAt(i)
    h = Math.imul(h, 0x01000193)
  }
  return scramble(h)
}

/** A 32-bit hash of two integers. */
export const combine = (a: number, b: number): number => scramble(Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ (b | 0))

const scramble = (value: number): number => {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** A number in [0, 1) from a 32-bit hash. */
export const unit = (h: number): number => h / 4294967296

/** A seeded sequence (mulberry32). */
export class Random {
  #state: number
  constructor(seed: number) {
    this.#state = seed >>> 0
  }
  /** The next number in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  /** An integer in [0, below). */
  int(below: number): number {
    return Math.floor(this.next() * below)
  }
}

const octave = (seed: number, position: number): number => {
  const cell = Math.floor(position)
  const left = unit(combine(seed, cell)) * 2 - 1
  const right = unit(combine(seed, cell + 1)) * 2 - 1
  return left + (right - left) * (position - cell)
}

const shortestMillis = 15_000
const octaves = 15

/**
 * A random walk that can be read at any instant without walking to it: value noise on periods from 15 s to 68 h, each
 * as loud as a walk of that length. Over one hour it moves by about one.
 */
export const wander = (seed: number, millis: number): number => {
  let sum = 0
  let period = shortestMillis
  for (let k = 0; k < octaves; k++) {
    sum += Math.sqrt(period / 3_600_000) * octave(combine(seed, k), millis / period)
    period *= 2
  }
  return sum * 0.75
}

const hex = (h: number): string => h.toString(16).padStart(8, "0")

/** A UUID that is a pure function of its name. */
export const uuid = (name: string): string => {
  const a = hash(name)
  const b = combine(a, 1)
  const c = combine(a ^ name.length, hash(`${name}#`))
  const d = combine(c, b)
  const text = hex(a) + hex(b) + hex(c) + hex(d)
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-4${text.slice(13, 16)}-a${text.slice(17, 20)}-${text.slice(20, 32)}`
}
