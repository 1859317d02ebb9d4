/** Tokens that refill continuously; a request takes all it needs or is refused. */
export class TokenBucket {
  readonly refillRate: number
  readonly capacity: number
  #tokens: number
  #asOf: number

  constructor(refillRate: number, capacity: number, wallMillis: number) {
    this.refillRate = refillRate
    this.capacity = capacity
    this.#tokens = capacity
    this.#asOf = wallMillis
  }

  available(wallMillis: number): number {
    this.#tokens = Math.min(
      this.capacity,
      this.#tokens + (Math.max(0, wallMillis - this.#asOf) / 1000) * this.refillRate
    )
    this.#asOf = wallMillis
    return this.#tokens
  }

  take(cost: number, wallMillis: number): boolean {
    if (this.available(wallMillis) < cost) return false
    this.#tokens -= cost
    return true
  }
}
