import type { EventSpec, MarketSpec } from "./Catalog.ts"
import type { Tape } from "./Tape.ts"

/** Something that will happen at an exchange instant. */
export type Action =
  | {
      readonly _tag:
        | "Open"
        | "Created"
        | "Paused"
        | "Resumed"
        | "CloseMoved"
        | "Relevelled"
        | "Renamed"
        | "Determined"
        | "Settled"
      readonly market: MarketSpec
    }
  | { readonly _tag: "EventCreated" | "EventListed" | "FeesChanged"; readonly event: EventSpec }
  | { readonly _tag: "Step"; readonly tape: Tape }

interface Item {
  readonly ms: number
  readonly order: number
  readonly action: Action
}

const before = (a: Item, b: Item): boolean => a.ms < b.ms || (a.ms === b.ms && a.order < b.order)

/** Actions by time, first come first served within one instant (a binary heap). */
export class Agenda {
  readonly #heap: Array<Item> = []
  #order = 0

  get nextMs(): number {
    return this.#heap[0]?.ms ?? Number.POSITIVE_INFINITY
  }

  add(ms: number, action: Action): void {
    const heap = this.#heap
    const item = { ms, order: this.#order++, action }
    let at = heap.push(item) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(item, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = item
  }

  take(): Action | undefined {
    const heap = this.#heap
    const first = heap[0]
    const item = heap.pop()
    if (first === undefined || item === undefined || heap.length === 0) return first?.action
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1
      if (!before(heap[child]!, item)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = item
    return first.action
  }
}
