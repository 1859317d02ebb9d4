import * as fs from "node:fs"
import * as path from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Timestamp from "../../src/market/Timestamp.ts"
import { layerDatabase } from "../../src/replay/DatabaseFrames.ts"
import { layerJournal } from "../../src/replay/JournalFrames.ts"
import { type ReplayOptions, ReplayServer } from "../../src/replay/ReplayServer.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import type { SigningKey } from "../../src/simulator/SigningKey.ts"
import { GapSpans } from "../../src/store/GapSpans.ts"
import { RecordedRows } from "../../src/store/RecordedRows.ts"
import { ReplayCatalog } from "../../src/store/ReplayCatalog.ts"
import { created, entry, eventLifecycle, start, ticker } from "../ingest/Frames.ts"
import { directory, record, settings, stored } from "../ingest/Recorder.ts"
import { Acting } from "../support/Database.ts"

export { start }

const seconds = (n: number) => start + n * 1000

const numbered = (seq: number, raw: string) => raw.replace('"sid":2', `"sid":2,"seq":${seq}`)

export const trade = (seq: number, id: number, market: string, millis: number): string =>
  JSON.stringify({
    type: "trade",
    sid: 3,
    seq,
    msg: {
      trade_id: `072206ce-5001-aeed-d03d-1f053dfa0${String(id).padStart(3, "0")}`,
      market_ticker: market,
      yes_price_dollars: "0.4700",
      no_price_dollars: "0.5300",
      count_fp: "93.00",
      taker_side: "yes",
      taker_outcome_side: "yes",
      taker_book_side: "bid",
      is_block_trade: false,
      ts: Math.floor(millis / 1000),
      ts_ms: millis
    }
  })

const snapshot = (seq: number, market: string): string =>
  JSON.stringify({
    type: "orderbook_snapshot",
    sid: 4,
    seq,
    msg: {
      market_ticker: market,
      market_id: "9b0f6b43-5b68-4f9f-9f02-9a2d1b8ac1a1",
      yes_dollars_fp: [
        ["0.4400", "10.00"],
        ["0.4500", "88.50"]
      ],
      no_dollars_fp: [["0.5300", "120.00"]]
    }
  })

const delta = (seq: number, market: string, millis: number, side: string, price: string, size: string): string =>
  JSON.stringify({
    type: "orderbook_delta",
    sid: 4,
    seq,
    msg: {
      market_ticker: market,
      market_id: "9b0f6b43-5b68-4f9f-9f02-9a2d1b8ac1a1",
      price_dollars: price,
      delta_fp: size,
      side,
      ts: Timestamp.fromMillis(millis),
      ts_ms: millis
    }
  })

const subscribed = (sid: number, channel: string) =>
  JSON.stringify({ type: "subscribed", id: sid, msg: { channel, sid } })

/** Twenty seconds of two markets, as one connection received them; the link is lost after twelve of them, for three. */
export const frames: ReadonlyArray<{ readonly second: number; readonly raw: string }> = [
  { second: 0, raw: subscribed(1, "ticker") },
  { second: 0, raw: subscribed(2, "market_lifecycle_v2") },
  { second: 0, raw: subscribed(3, "trade") },
  { second: 0, raw: subscribed(4, "orderbook_delta") },
  { second: 1, raw: numbered(1, eventLifecycle("KXBTCD-1", { series_ticker: "KXBTCD" })) },
  { second: 1, raw: numbered(2, created("KXBTCD-1-A", "KXBTCD-1", start, 1)) },
  { second: 1, raw: numbered(3, created("KXBTCD-1-B", "KXBTCD-1", start, 1)) },
  { second: 2, raw: snapshot(1, "KXBTCD-1-A") },
  { second: 3, raw: ticker("KXBTCD-1-A", seconds(3)) },
  { second: 4, raw: ticker("KXBTCD-1-B", seconds(4), { price_dollars: "0.1200" }) },
  { second: 5, raw: trade(1, 1, "KXBTCD-1-A", seconds(5)) },
  { second: 6, raw: delta(2, "KXBTCD-1-A", seconds(6), "yes", "0.4500", "-88.50") },
  { second: 7, raw: delta(3, "KXBTCD-1-A", seconds(7), "no", "0.5400", "7.25") },
  {
    second: 8,
    raw: ticker("KXBTCD-1-A", seconds(8), { yes_bid_dollars: "0.4400" }).replace(
      /\}$/,
      ',"sending_ts_ms":1787586608001}'
    )
  },
  {
    second: 9,
    raw: '{"type":"platform_notice","sid":2,"seq":4,"msg":{"notice":"maintenance {planned}","severity":2}}'
  },
  { second: 10, raw: "{ this is no JSON" },
  { second: 16, raw: ticker("KXBTCD-1-A", seconds(16), { yes_bid_dollars: "0.4600" }) },
  { second: 17, raw: trade(1, 2, "KXBTCD-1-B", seconds(17)) },
  { second: 18, raw: ticker("KXBTCD-1-B", seconds(18), { price_dollars: "0.1300" }) }
]

/** The frames of a market feed among them, as they were received. */
export const messages = frames.filter(({ raw }) => raw.includes('"msg":{') && !raw.includes('"subscribed"'))

/** A recorder over the database in context, with all its rights. */
export const recordHere: (
  ...args: Parameters<typeof record>
) => Effect.Effect<
  Effect.Success<ReturnType<typeof record>>,
  Effect.Error<ReturnType<typeof record>>,
  PgClient.PgClient | Scope.Scope
> = (...args) => PgClient.PgClient.use((sql) => Effect.provideService(record(...args), Acting, sql))

/** Records the frames into the database in context; succeeds with the folder of the journals. */
export const recorded = Effect.gen(function* () {
  const root = yield* directory
  const at = path.join(root, "shard-0")
  fs.mkdirSync(at)
  const writer = yield* recordHere(at, { ORDERBOOK_MARKETS: "all" })
  const slots = JSON.stringify({ slots: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], connection: 1 })
  const before = frames.filter(({ second }) => second < 12)
  const after = frames.filter(({ second }) => second > 12)
  yield* writer.journal.append([
    entry("started", seconds(0)),
    entry("opened", seconds(0), JSON.stringify({ connection: 1 })),
    entry("live", seconds(0), slots),
    ...before.map(({ raw, second }) => entry("frame", seconds(second), raw)),
    entry("closed", seconds(12), JSON.stringify({ cause: "disconnect", detail: "cut" })),
    entry("opened", seconds(15), JSON.stringify({ connection: 2 })),
    ...frames.slice(0, 4).map(({ raw }) => entry("frame", seconds(15), raw)),
    entry("live", seconds(15), slots.replace('"connection":1', '"connection":2')),
    ...after.map(({ raw, second }) => entry("frame", seconds(second), raw))
  ])
  yield* stored(writer.journal)
  yield* writer.stop
  return root
})

export const optionsWith = (key: SigningKey, given: Partial<ReplayOptions> = {}): ReplayOptions => ({
  port: 0,
  host: "127.0.0.1",
  span: { fromMillis: 0, toMillis: seconds(3600) },
  isFromFirst: true,
  speed: "max",
  holdMillis: 50,
  bufferBytes: 1024 * 1024,
  keys: [key],
  tokens: { refillRate: 2000, capacity: 6000 },
  choice: { series: [], events: [], markets: [] },
  ...given
})

/** A replay of the database in context, or of journals in a folder. */
export const replaying = (options: ReplayOptions, journals: string | undefined) => {
  const stores = Layer.mergeAll(ReplayCatalog.layer, RecordedRows.layer, GapSpans.layer)
  const source =
    journals === undefined
      ? layerDatabase
      : layerJournal.pipe(Layer.provide([settings({ JOURNAL_DIR: journals }), ExchangeTime.layerReal]))
  return Effect.gen(function* () {
    const context = yield* Effect.context<PgClient.PgClient>()
    const built = yield* Layer.build(
      Layer.fresh(
        ReplayServer.layer(options).pipe(
          Layer.provide(source),
          Layer.provide(stores),
          Layer.provide(NodeServices.layer)
        )
      )
    ).pipe(Effect.provideContext(context))
    return yield* ReplayServer.pipe(Effect.provideContext(built))
  })
}
