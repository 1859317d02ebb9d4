const windowSeconds = 60

/** How many ticks were stored within the last minute, by the second, in constant memory. */
export class TickRate {
  readonly #startMillis: number
  readonly #seconds = new Float64Array(windowSeconds).fill(-1)
  readonly #ticks = new Float64Array(windowSeconds)

  constructor(startMillis: number) {
    this.#startMillis = startMillis
  }

  add(wallMillis: number, ticks: number) {
    const second = Math.floor(wallMillis / 1000)
    const slot = second % windowSeconds
    if (this.#seconds[slot] !== second) {
      this.#seconds[slot] = second
      this.#ticks[slot] = 0
    }
    this.#ticks[slot]! += ticks
  }

  at(wallMillis: number) {
    const oldest = Math.floor(wallMillis / 1000) - windowSeconds
    return {
      ticksStored: this.#ticks.reduce((sum, ticks, slot) => (this.#seconds[slot]! > oldest ? sum + ticks : sum), 0),
      ticksWindowSeconds: Math.max(1, Math.min(windowSeconds, Math.ceil((wallMillis - this.#startMillis) / 1000)))
    }
  }
}
