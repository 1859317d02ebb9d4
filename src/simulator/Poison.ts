import type { FaultyChannel, PoisonKind } from "./Faults.ts"

const lifecycleKinds: ReadonlyArray<PoisonKind> = ["not-json", "unknown-type", "wrong-types", "nul-title", "huge-text"]
const tickerKinds: ReadonlyArray<PoisonKind> = [
  "not-json",
  "no-market",
  "long-price",
  "nul-ticker",
  "unknown-type",
  "wrong-types"
]
const otherKinds: ReadonlyArray<PoisonKind> = ["not-json", "no-market", "unknown-type", "wrong-types"]

/** The kinds, of those wished, that a channel can carry. */
export const kindsOn = (channel: FaultyChannel, wished: ReadonlyArray<PoisonKind>): ReadonlyArray<PoisonKind> =>
  (channel === "market_lifecycle_v2" ? lifecycleKinds : channel === "ticker" ? tickerKinds : otherKinds).filter(
    (kind) => wished.includes(kind)
  )

const huge = "x".repeat(2 * 1024 * 1024)

const ticker = (market: string, price: unknown, ms: unknown) => ({
  market_ticker: market,
  price_dollars: price,
  yes_bid_dollars: "0.4500",
  yes_ask_dollars: "0.4700",
  volume_fp: "1.00",
  open_interest_fp: "1.00",
  dollar_volume: 1,
  dollar_open_interest: 1,
  yes_bid_size_fp: "1.00",
  yes_ask_size_fp: "1.00",
  last_trade_size_fp: "1.00",
  ts_ms: ms
})

const created = (market: string, title: unknown) => ({
  market_ticker: market,
  open_ts: 1_787_601_600,
  close_ts: 1_787_605_200,
  additional_metadata: { name: title, title, yes_sub_title: title, event_ticker: "KXPOISON-1" },
  event_type: "created"
})

const envelope = (type: string, sid: number, seq: string, msg: unknown): string =>
  `{"type":"${type}","sid":${sid},${seq}"msg":${JSON.stringify(msg)}}`

/**
 * A frame nobody can make sense of. Markets of lifecycle poison do not exist (`KXPOISON-…`); `seq` is called when the
 * frame carries a sequence number.
 */
export const poisonFrame = (
  kind: PoisonKind,
  channel: FaultyChannel,
  sid: number,
  seq: () => string,
  market: string,
  serial: number
): string => {
  const ms = 1_787_603_412_345 + serial
  switch (kind) {
    case "not-json":
      return `{"type":"${channel}","sid":${sid},"msg":{"market_ticker":"${market}","price_dol`
    case "no-market":
      return envelope(channel, sid, seq(), { price_dollars: "0.4700", ts_ms: ms })
    case "long-price":
      return envelope(channel, sid, seq(), ticker(market, "1234567890123456789012345678901234567890.0000", ms))
    case "nul-ticker":
      return envelope(channel, sid, seq(), ticker(`${market}\u0000`, "0.4700", ms))
    case "unknown-type":
      return envelope("market_weather", sid, seq(), { market_ticker: market, mood: "calm", ts_ms: ms })
    case "wrong-types":
      return envelope(channel, sid, seq(), {
        ...ticker(market, { amount: 47 }, "yesterday"),
        event_type: 7,
        trade_id: null,
        side: 1
      })
    case "nul-title":
      return envelope(channel, sid, seq(), created(`KXPOISON-1-N${serial}`, "Will it\u0000 rain?"))
    case "huge-text":
      return envelope(channel, sid, seq(), created(`KXPOISON-1-H${serial}`, huge))
  }
}
