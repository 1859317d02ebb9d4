import type { Often, Spell } from "./Faults.ts"
import { combine, hash, Random } from "./Random.ts"

/** Seeded dice, one sequence a name, so that one fault does not move another. */
export class Chances {
  readonly #seed: number
  readonly #dice = new Map<string, Random>()

  constructor(seed: number) {
    this.#seed = seed
  }

  of(name: string): Random {
    let dice = this.#dice.get(name)
    if (dice === undefined) {
      dice = new Random(combine(this.#seed ^ 0x66_61, hash(name)))
      this.#dice.set(name, dice)
    }
    return dice
  }

  /** Whether it happens on this occasion. */
  strikes(often: Often, name: string): boolean {
    if (often.next > 0) {
      often.next -= 1
      return true
    }
    return often.rate > 0 && this.of(name).next() < often.rate
  }
}

export const possible = ({ next, rate }: Often): boolean => next > 0 || rate > 0

/** Tells when a spell is on. */
export class SpellClock {
  readonly #dice: Random
  #period = 0
  #fromMs = Number.POSITIVE_INFINITY

  constructor(dice: Random) {
    this.#dice = dice
  }

  active(setting: Spell, wallMs: number): boolean {
    if (setting.on) return true
    const period = setting.everySeconds * 1000
    if (period !== this.#period) {
      this.#period = period
      this.#fromMs = period > 0 ? wallMs + this.#wait(setting) : Number.POSITIVE_INFINITY
    }
    if (wallMs < this.#fromMs) return false
    if (wallMs < this.#fromMs + setting.forSeconds * 1000) return true
    this.#fromMs = wallMs + this.#wait(setting)
    return false
  }

  #wait({ everySeconds, forSeconds, jitter }: Spell): number {
    const pause = Math.max(0, everySeconds - forSeconds) * 1000
    return pause * (1 + jitter * (this.#dice.next() * 2 - 1))
  }
}
