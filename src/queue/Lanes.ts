import { type Claim, type Lane, priorities } from "../store/QueueJobs.ts"

/**
 * Where to look for jobs. While somebody holds an old snapshot, the index keeps every job that was ever claimed since, and a search
 * from its start wades through all of them. So a search starts after what was already seen. A job may still become visible behind
 * that point: its transaction committed late, or a claim was rolled back. For those a full search is made, as often as it costs little.
 */
export class Lanes {
  readonly #lanes: ReadonlyArray<{ readonly type: string; readonly priority: number }>
  readonly #after: Map<string, number>
  #fullAt = 0

  constructor(types: ReadonlyArray<string>) {
    this.#lanes = Array.from({ length: priorities }, (_, priority) => priority).flatMap((priority) =>
      types.map((type) => ({ type, priority }))
    )
    this.#after = new Map(this.#lanes.map((lane) => [laneKey(lane), 0]))
  }

  /** When the next full search is due, in milliseconds on the caller's clock. */
  get fullAt(): number {
    return this.#fullAt
  }

  lanes(full: boolean): ReadonlyArray<Lane> {
    return this.#lanes.map((lane) => ({ ...lane, after: full ? 0 : this.#after.get(laneKey(lane))! }))
  }

  /**
   * What a search for `wanted` jobs found. A full one that found enough of them goes on from there: what it came upon may be the first
   * of many that were behind.
   */
  found(claim: Claim, wanted: number, isFull: boolean): void {
    if (claim.jobs.length < wanted) {
      for (const [key, after] of this.#after) this.#after.set(key, Math.max(after, claim.newestPosition))
      return
    }
    const furthest = new Map<string, number>()
    for (const job of claim.jobs) {
      const key = laneKey(job)
      furthest.set(key, Math.max(furthest.get(key) ?? 0, job.position))
    }
    for (const [key, position] of furthest)
      this.#after.set(key, isFull ? position : Math.max(this.#after.get(key)!, position))
  }

  /** A full search took this long: a hundredth of the time goes to them, because every worker makes them. */
  searched(nowMillis: number, tookMillis: number): void {
    this.#fullAt = nowMillis + Math.min(60_000, Math.max(50, 100 * tookMillis))
  }
}

const laneKey = ({ priority, type }: { readonly type: string; readonly priority: number }) => `${priority}/${type}`
