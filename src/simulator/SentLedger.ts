import { appendFileSync, closeSync, openSync, readFileSync } from "node:fs"

export const ledgerChannels = ["ticker", "lifecycle", "trade", "orderbook_delta", "poison"] as const
export type LedgerChannel = (typeof ledgerChannels)[number]

const channelOfType: Readonly<Record<string, LedgerChannel>> = {
  ticker: "ticker",
  market_lifecycle_v2: "lifecycle",
  trade: "trade",
  orderbook_delta: "orderbook_delta",
  poison: "poison"
}

/** The ledger's channel of a frame type; absent for frames that no ledger counts. */
export const ledgerChannel = (type: string): LedgerChannel | undefined => channelOfType[type]

/** Counts of the frames that were handed to sockets, by market and key, so that a recorder can be checked against it. */
export interface SentLedger {
  /** `key` is ts_ms of a ticker or book frame, the event type of a lifecycle frame, the trade_id of a trade. */
  readonly record: (channel: LedgerChannel, ticker: string, key: number | string, exchangeMs: number) => void
  /**
   * Lines `ticker<TAB>key<TAB>count`; a key may come on several lines when the ledger is a file. `timed` adds `<TAB>ms`, the exchange's
   * time at the last one (of a ticker: its key); a file does not keep it.
   */
  readonly lines: (channel: string, timed?: boolean) => string
  readonly close: () => void
}

interface Counted {
  count: number
  exchangeMs: number
}

const tally = (keys: Iterable<number | string>): Map<number | string, number> => {
  const counts = new Map<number | string, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return counts
}

const inMemory = (): SentLedger => {
  const stamps = new Map<string, { at: Float64Array; length: number }>()
  const words = new Map<string, Map<string, Map<number | string, Counted>>>()
  return {
    record: (channel, ticker, key, exchangeMs) => {
      if (channel === "ticker" && typeof key === "number") {
        let column = stamps.get(ticker)
        if (column === undefined) {
          column = { at: new Float64Array(16), length: 0 }
          stamps.set(ticker, column)
        }
        if (column.length === column.at.length) {
          const wider = new Float64Array(column.length * 2)
          wider.set(column.at)
          column.at = wider
        }
        column.at[column.length++] = key
        return
      }
      const ofChannel = words.get(channel) ?? new Map<string, Map<number | string, Counted>>()
      words.set(channel, ofChannel)
      const counts = ofChannel.get(ticker) ?? new Map<number | string, Counted>()
      ofChannel.set(ticker, counts)
      const counted = counts.get(key)
      if (counted === undefined) counts.set(key, { count: 1, exchangeMs })
      else {
        counted.count += 1
        counted.exchangeMs = exchangeMs
      }
    },
    lines: (channel, timed = false) => {
      const out: Array<string> = []
      if (channel === "ticker")
        for (const [ticker, column] of stamps)
          for (const [ms, count] of tally(column.at.subarray(0, column.length)))
            out.push(`${ticker}\t${ms}\t${count}${timed ? `\t${ms}` : ""}\n`)
      else
        for (const [ticker, counts] of words.get(channel) ?? [])
          for (const [word, { count, exchangeMs }] of counts)
            out.push(`${ticker}\t${word}\t${count}${timed ? `\t${exchangeMs}` : ""}\n`)
      return out.join("")
    },
    close: () => {}
  }
}

const flushAt = 64 * 1024

const inFile = (path: string): SentLedger => {
  const file = openSync(path, "w")
  let waiting = ""
  const flush = () => {
    if (waiting !== "") appendFileSync(file, waiting)
    waiting = ""
  }
  return {
    record: (channel, ticker, key) => {
      waiting += `${channel}\t${ticker}\t${key}\t1\n`
      if (waiting.length > flushAt) flush()
    },
    lines: (channel) => {
      flush()
      const prefix = `${channel}\t`
      return readFileSync(path, "utf8")
        .split("\n")
        .filter((line) => line.startsWith(prefix))
        .map((line) => `${line.slice(prefix.length)}\n`)
        .join("")
    },
    close: () => {
      flush()
      closeSync(file)
    }
  }
}

const none: SentLedger = { record: () => {}, lines: () => "", close: () => {} }

export const makeLedger = (
  kind: { readonly _tag: "Memory" } | { readonly _tag: "None" } | { readonly _tag: "File"; readonly path: string }
): SentLedger => (kind._tag === "Memory" ? inMemory() : kind._tag === "None" ? none : inFile(kind.path))
