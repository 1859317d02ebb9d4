/** Counts of frames by market and key: `ts_ms` of a ticker or book frame, the id of a trade, the type of a lifecycle message. */
export type Counts = ReadonlyMap<string, ReadonlyMap<string, number>>

export const channels = ["ticker", "trade", "orderbook_delta", "lifecycle"] as const
export type Channel = (typeof channels)[number]

/** What each party says about the frames of one channel. */
export interface Testimony {
  /** The exchange: handed to a socket. */
  readonly sent: Counts
  /** The exchange: due to somebody and never sent, because a fault kept it back or the connection was gone. */
  readonly dropped: Counts
  /** The journal: received. With several journals, the most that one of them received. */
  readonly received: Counts
  /** The journal: received again, with a sequence number that was heard before. */
  readonly repeated: Counts
  readonly stored: Counts
  readonly quarantined: Counts
  /** When the exchange sent it, for keys that are no time; by `market<TAB>key`, exchange milliseconds. */
  readonly times: ReadonlyMap<string, number>
}

/** A row of capture_gaps. */
export interface Gap {
  readonly feed: string
  /** `key/number of slots` */
  readonly shard: string
  readonly slots: ReadonlyArray<number> | undefined
  readonly market: string | undefined
  readonly fromMillis: number
  readonly toMillis: number | undefined
}

export interface Evidence {
  readonly channels: Readonly<Record<Channel, Testimony>>
  readonly gaps: ReadonlyArray<Gap>
  /** The slot of a market under a division of the markets. */
  readonly slotOf: (shard: string, market: string) => number | undefined
  /** Several processes were sent the same frames for a while, one of which stores them. */
  readonly isShared: boolean
}

export interface Verdict {
  readonly sent: number
  readonly stored: number
  /** Received, and neither stored nor in quarantine. */
  readonly lost: number
  /** Stored more often than sent. */
  readonly duplicated: number
  readonly gaps: number
  /** Due and neither stored, nor in quarantine, nor inside a gap. */
  readonly unexplained: number
  readonly received: number
  readonly quarantined: number
  /** Due and not stored, inside a gap. */
  readonly missing: number
  /** Some of the frames that count as lost, duplicated or unexplained. */
  readonly examples: ReadonlyArray<string>
}

const feedOf = (channel: Channel) => (channel === "lifecycle" ? "market_lifecycle_v2" : channel)

/** The lifecycle of all markets is recorded by whoever has this slot. */
const lifecycleSlot = 0

const concerns = (gap: Gap, channel: Channel, market: string, slotOf: Evidence["slotOf"]): boolean => {
  if (gap.feed !== "all" && gap.feed !== feedOf(channel)) return false
  if (gap.market !== undefined) return gap.market === market
  if (gap.slots === undefined) return true
  const slot = channel === "lifecycle" ? lifecycleSlot : slotOf(gap.shard, market)
  return slot !== undefined && gap.slots.includes(slot)
}

const isAt = ({ fromMillis, toMillis }: Gap, atMillis: number): boolean =>
  atMillis >= fromMillis && (toMillis === undefined || atMillis <= toMillis)

const none: ReadonlyMap<string, number> = new Map()
const mostExamples = 5

/** Compares what the exchange says it sent with what was received and what is stored, frame by frame. */
export const judge = ({ channels: testimonies, gaps, isShared, slotOf }: Evidence): Verdict => {
  const sum = { sent: 0, stored: 0, lost: 0, duplicated: 0, unexplained: 0, received: 0, quarantined: 0, missing: 0 }
  const examples: Array<string> = []
  for (const channel of channels) {
    const { dropped, quarantined, received, repeated, sent, stored, times } = testimonies[channel]
    for (const market of new Set([sent, dropped, received, stored].flatMap((counts) => [...counts.keys()]))) {
      const of = (counts: Counts) => counts.get(market) ?? none
      const [outOf, goneOf, inOf, againOf, keptOf, asideOf] = [
        sent,
        dropped,
        received,
        repeated,
        stored,
        quarantined
      ].map(of)
      const keys = new Set([outOf, goneOf, inOf, keptOf].flatMap((counts) => [...counts!.keys()]))
      for (const key of keys) {
        const out = outOf!.get(key) ?? 0
        const gone = goneOf!.get(key) ?? 0
        const got = inOf!.get(key) ?? 0
        const again = againOf!.get(key) ?? 0
        const kept = keptOf!.get(key) ?? 0
        const aside = asideOf!.get(key) ?? 0
        const once = (isShared ? Math.min(out, Math.max(1, got)) : out) - again
        const due = isShared ? Math.max(once, Math.min(1, gone)) : once + gone
        sum.sent += out
        sum.received += got
        sum.stored += kept
        sum.quarantined += aside
        const note = (what: string, n: number) => {
          if (n > 0 && examples.length < mostExamples)
            examples.push(
              `${what} ${channel} ${market} ${key}: sent ${out}, dropped ${gone}, received ${got}, stored ${kept}`
            )
          return Math.max(0, n)
        }
        sum.lost += note("lost", got - again - kept - aside)
        sum.duplicated += note("duplicated", kept - once)
        const absent = due - kept - aside
        if (absent <= 0) continue
        const atMillis = times.get(`${market}\t${key}`) ?? Number(key)
        const concerned = gaps.filter((gap) => concerns(gap, channel, market, slotOf))
        if (concerned.some((gap) => isAt(gap, atMillis))) sum.missing += absent
        else {
          const spans = concerned.map(({ fromMillis, toMillis }) => `${fromMillis}–${toMillis ?? ""}`).join(", ")
          sum.unexplained += note(`unexplained at ${atMillis} (its gaps: ${spans})`, absent)
        }
      }
    }
  }
  return { ...sum, gaps: gaps.length, examples }
}

/** Nothing lost, nothing stored twice, every hole named. */
export const isClean = ({ duplicated, lost, unexplained }: Verdict): boolean =>
  lost === 0 && duplicated === 0 && unexplained === 0
