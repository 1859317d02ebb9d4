import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Reactivity from "effect/reactivity/Reactivity"
import { makeReader } from "../../src/ingest/JournalReader.ts"
import { JournalSegments } from "../../src/ingest/JournalSegments.ts"
import type { Exchange } from "../support/Exchange.ts"
import { type Channel, type Counts, channels, type Evidence, type Gap, type Testimony } from "./Verdict.ts"

class Tally {
  readonly counts = new Map<string, Map<string, number>>()

  add(market: string, key: string, count = 1): void {
    const ofMarket = this.counts.get(market) ?? new Map<string, number>()
    this.counts.set(market, ofMarket)
    ofMarket.set(key, (ofMarket.get(key) ?? 0) + count)
  }
}

type Tallies = Readonly<Record<Channel, Tally>>
const tallies = (): Tallies => ({
  ticker: new Tally(),
  trade: new Tally(),
  orderbook_delta: new Tally(),
  lifecycle: new Tally()
})

interface Said {
  readonly channel: Channel
  readonly market: string
  readonly key: string
  /** Of the subscription and its sequence; absent where the channel has none. */
  readonly place: string | undefined
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const keyNames: Readonly<Record<string, readonly [Channel, string]>> = {
  ticker: ["ticker", "ts_ms"],
  trade: ["trade", "trade_id"],
  orderbook_delta: ["orderbook_delta", "ts_ms"],
  market_lifecycle_v2: ["lifecycle", "event_type"]
}

/** What a raw frame is counted as, read without any code of the recorder. */
const understand = (raw: string): Said | undefined => {
  let frame: unknown
  try {
    frame = JSON.parse(raw)
  } catch {
    return undefined
  }
  if (!isFields(frame) || !isFields(frame["msg"])) return undefined
  const { msg, seq, sid, type } = frame
  const known = keyNames[String(type)]
  if (known === undefined || !isFields(msg)) return undefined
  const [channel, name] = known
  const market = msg["market_ticker"]
  const key = msg[name]
  if (typeof market !== "string" || (typeof key !== "string" && typeof key !== "number")) return undefined
  return { channel, market, key: String(key), place: seq === undefined ? undefined : `${sid}/${seq}` }
}

const beyond = { segment: Number.POSITIVE_INFINITY, offset: Number.POSITIVE_INFINITY }

/** Every frame that is in one journal, compressed segments included. */
const readJournal = Effect.fnUntraced(function* (directory: string) {
  const received = tallies()
  const snapshots = tallies()
  const repeated = tallies()
  const reader = makeReader(new JournalSegments(directory), () => beyond)
  const heard = new Set<string>()
  let connection = 0
  let at = { segment: 0, offset: 0 }
  while (true) {
    const { next, records } = yield* reader.read(at, 20_000)
    if (records.length === 0) break
    for (const { kind, payload } of records) {
      if (kind === "opened") connection += 1
      if (kind !== "frame" && kind !== "snapshot") continue
      const said = understand(payload)
      if (said === undefined) continue
      const tally = kind === "snapshot" ? snapshots : received
      tally[said.channel].add(said.market, said.key)
      if (said.place === undefined) continue
      const place = `${connection}/${said.place}`
      if (heard.has(place)) repeated[said.channel].add(said.market, said.key)
      heard.add(place)
    }
    at = next
  }
  return { received, snapshots, repeated }
})

const most = (all: ReadonlyArray<Counts>): Counts => {
  if (all.length === 1) return all[0]!
  const out = new Map<string, Map<string, number>>()
  for (const counts of all)
    for (const [market, keys] of counts) {
      const ofMarket = out.get(market) ?? new Map<string, number>()
      out.set(market, ofMarket)
      for (const [key, count] of keys) ofMarket.set(key, Math.max(count, ofMarket.get(key) ?? 0))
    }
  return out
}

const sum = (a: Counts, b: Counts): Counts => {
  const out = new Map([...a].map(([market, keys]) => [market, new Map(keys)]))
  for (const [market, keys] of b) {
    const ofMarket = out.get(market) ?? new Map<string, number>()
    out.set(market, ofMarket)
    for (const [key, count] of keys) ofMarket.set(key, (ofMarket.get(key) ?? 0) + count)
  }
  return out
}

const ledger = Effect.fnUntraced(function* (exchange: Exchange, what: "sent" | "dropped", channel: Channel) {
  const tally = new Tally()
  const times = new Map<string, number>()
  for (const line of (yield* exchange.text(`${what}?channel=${channel}&timed=1`)).split("\n")) {
    const [market, key, count, atMillis] = line.split("\t")
    if (market === undefined || key === undefined || count === undefined) continue
    tally.add(market, key, Number(count))
    if (channel === "trade" || channel === "lifecycle") times.set(`${market}\t${key}`, Number(atMillis))
  }
  return { counts: tally.counts, times }
})

const only = (counts: Counts, isWanted: (market: string) => boolean): Counts =>
  new Map([...counts].filter(([market]) => isWanted(market)))

const storedSql: Readonly<Record<Channel, string>> = {
  ticker: `select ticker, string_agg(round(extract(epoch from ts) * 1000)::bigint::text, ' ') as keys from market_ticks group by 1`,
  trade: `select ticker, string_agg(trade_id::text, ' ') as keys from market_trades group by 1`,
  orderbook_delta: `select ticker, string_agg(round(extract(epoch from ts) * 1000)::bigint::text, ' ') as keys from orderbook_events group by 1`,
  lifecycle: `select market_ticker as ticker, string_agg(event_type, ' ') as keys from lifecycle_events
    where market_ticker is not null group by 1`
}

/** Reads the database with connections of its own: those of before may have died with the server. */
export const query = <A extends object>(url: Redacted.Redacted<string>, statement: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.makeClient({ url })
    return yield* sql.unsafe<A>(statement)
  }).pipe(Effect.scoped, Effect.provide(Reactivity.layer))

/** Everything that the exchange, the journals below `journals` and the database know about the frames. */
export const collect = Effect.fnUntraced(function* (
  exchange: Exchange,
  url: Redacted.Redacted<string>,
  journals: string,
  isShared: boolean
) {
  const stored = tallies()
  for (const channel of channels)
    for (const { keys, ticker } of yield* query<{ ticker: string; keys: string }>(url, storedSql[channel]))
      for (const key of keys.split(" ")) stored[channel].add(ticker, key)

  const quarantined = tallies()
  for (const { raw } of yield* query<{ raw: Uint8Array }>(url, "select raw from quarantine")) {
    const said = understand(Buffer.from(raw).toString())
    if (said !== undefined) quarantined[said.channel].add(said.market, said.key)
  }

  const rows = yield* query<{
    feed: string
    shard: string
    slots: ReadonlyArray<number> | null
    market_ticker: string | null
    from: number
    to: number | null
  }>(
    url,
    `select feed, shard, slots, market_ticker, (extract(epoch from from_ts) * 1000)::float8 as "from",
      (extract(epoch from to_ts) * 1000)::float8 as "to" from capture_gaps`
  )
  const gaps = rows.map(
    ({ feed, from, market_ticker, shard, slots, to }): Gap => ({
      feed,
      shard,
      slots: slots ?? undefined,
      market: market_ticker ?? undefined,
      fromMillis: from,
      toMillis: to ?? undefined
    })
  )

  const slots = new Map<string, Map<string, number>>()
  for (const shard of new Set(gaps.map((gap) => gap.shard))) {
    const [key, count] = shard.split("/")
    const found = yield* query<{ ticker: string; slot: number }>(
      url,
      `select ticker, market_slot(${key === "event" ? "coalesce(event_ticker, ticker)" : "ticker"}, ${Number(count)}) as slot
        from market_keys full join (select ticker, event_ticker from markets) m using (ticker)`
    )
    slots.set(shard, new Map(found.map(({ slot, ticker }) => [ticker, slot])))
  }
  const recorded = new Set(
    (yield* query<{ ticker: string }>(
      url,
      "select m.ticker from markets m join events e using (event_ticker) where e.strike_period in ('hour', 'day')"
    )).map(({ ticker }) => ticker)
  )
  const isRecorded = (market: string) => recorded.has(market) && !market.startsWith("KXPOISON-")

  const directories = fs.existsSync(journals)
    ? fs.readdirSync(journals, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
    : []
  const read = yield* Effect.forEach(directories, (name) => readJournal(path.join(journals, name)))
  const testimony = Effect.fnUntraced(function* (channel: Channel) {
    const sent = yield* ledger(exchange, "sent", channel)
    const dropped = yield* ledger(exchange, "dropped", channel)
    const isWanted = channel === "lifecycle" ? isRecorded : () => true
    return {
      sent: only(sent.counts, isWanted),
      dropped: only(dropped.counts, isWanted),
      // What one process was sent as a snapshot another one may have been sent as a change at the same millisecond.
      received: only(
        sum(
          most(read.map(({ received }) => received[channel].counts)),
          most(read.map(({ snapshots }) => snapshots[channel].counts))
        ),
        isWanted
      ),
      repeated: only(most(read.map(({ repeated }) => repeated[channel].counts)), isWanted),
      stored: only(stored[channel].counts, isWanted),
      quarantined: quarantined[channel].counts,
      times: new Map([...dropped.times, ...sent.times])
    } satisfies Testimony
  })
  return {
    channels: {
      ticker: yield* testimony("ticker"),
      trade: yield* testimony("trade"),
      orderbook_delta: yield* testimony("orderbook_delta"),
      lifecycle: yield* testimony("lifecycle")
    },
    gaps,
    slotOf: (shard, market) => slots.get(shard)?.get(market),
    isShared
  } satisfies Evidence
})
