import { type Chances, possible } from "./Chances.ts"
import type { Faults, FaultyChannel } from "./Faults.ts"
import { type Subscription, sequenced } from "./Hub.ts"
import type { Entry } from "./Outbox.ts"
import { kindsOn, poisonFrame } from "./Poison.ts"

const channels: ReadonlyArray<FaultyChannel> = ["ticker", "trade", "orderbook_delta", "market_lifecycle_v2"]

/** Whether any data frame could meet one of these faults. */
export const touchesFrames = (faults: Faults, silent: boolean): boolean =>
  silent ||
  channels.some((channel) =>
    [faults.drop, faults.duplicate, faults.poison, faults.terminal].some((fault) => possible(fault[channel]))
  )

const isFaulty = (channel: string): channel is FaultyChannel => faulty.has(channel)

const faulty: ReadonlySet<string> = new Set(channels)

/** Stands between the hub and the outboxes while frames are to be dropped, doubled or poisoned. */
export class FrameFaults {
  readonly #faults: Faults
  readonly #silent: boolean
  readonly #chances: Chances
  readonly #dropped: (entry: Entry) => void
  #serial = 0

  constructor(faults: Faults, silent: boolean, chances: Chances, dropped: (entry: Entry) => void) {
    this.#faults = faults
    this.#silent = silent
    this.#chances = chances
    this.#dropped = dropped
  }

  deliver(subscription: Subscription, text: string, entry: Entry) {
    const { channel, outbox } = subscription
    if (this.#silent) return this.#dropped(entry)
    if (!isFaulty(channel)) return outbox.push(text, entry)
    const { drop, duplicate, poison, terminal, terminalCode } = this.#faults
    const chances = this.#chances
    if (chances.strikes(drop[channel], `drop.${channel}`)) this.#dropped(entry)
    else {
      outbox.push(text, entry)
      if (chances.strikes(duplicate[channel], `duplicate.${channel}`)) outbox.push(text, entry)
    }
    if (chances.strikes(poison[channel], `poison.${channel}`)) this.#poison(subscription, channel, entry)
    if (chances.strikes(terminal[channel], `terminal.${channel}`)) subscription.end(terminalCode)
  }

  #poison(subscription: Subscription, channel: FaultyChannel, entry: Entry): void {
    const kinds = kindsOn(channel, this.#faults.poisonKinds)
    const kind = kinds[this.#chances.of(`poisonKind.${channel}`).int(kinds.length)]
    if (kind === undefined) return
    const market = entry.ticker ?? ""
    const seq = () => (sequenced(channel) ? `"seq":${++subscription.seq},` : "")
    const text = poisonFrame(kind, channel, subscription.sid, seq, market, this.#serial++)
    subscription.outbox.push(text, { type: "poison", ticker: market, key: kind })
  }
}
