import { assert, describe, it } from "@effect/vitest"
import { decodeFrame } from "../../src/kalshi/SocketWire.ts"
import type { Unknowns } from "../../src/kalshi/Unknowns.ts"

const tickerMsg = {
  market_id: "9b0f6b43-5b68-4f9f-9f02-9a2d1b8ac1a1",
  market_ticker: "KXBTCD-26AUG2417-T80749.99",
  price_dollars: "0.4700",
  yes_bid_dollars: "0.0000",
  yes_ask_dollars: "1.0000",
  volume_fp: "5123.00",
  open_interest_fp: "1834.25",
  dollar_volume: 2561,
  dollar_open_interest: 0,
  yes_bid_size_fp: "0.00",
  ts: 1787603412,
  ts_ms: 1787603412345,
  time: "2026-08-24T20:30:12.345678Z"
}
const decode = (frame: unknown): unknown => decodeFrame(JSON.stringify(frame), 1787603412400)
const ticker = (changes: object) => decode({ type: "ticker", sid: 1, msg: { ...tickerMsg, ...changes } })

describe("decodeFrame", () => {
  it("reads a ticker: zero is zero, absent is absent", () => {
    assert.deepStrictEqual(ticker({}), {
      _tag: "Ticker",
      sid: 1,
      sendingMillis: undefined,
      tick: {
        ticker: "KXBTCD-26AUG2417-T80749.99",
        exchangeMillis: 1787603412345,
        receivedMillis: 1787603412400,
        price: "0.4700",
        yesBid: "0.0000",
        yesAsk: "1.0000",
        yesBidSize: "0.00",
        yesAskSize: undefined,
        lastTradeSize: undefined,
        volume: "5123.00",
        openInterest: "1834.25",
        dollarVolume: "2561",
        dollarOpenInterest: "0"
      }
    })
  })

  it("names what is wrong with a frame, never what it holds", () => {
    const cases: ReadonlyArray<readonly [frame: unknown, cause: string]> = [
      [ticker({ market_ticker: undefined }), "msg.market_ticker is missing"],
      [ticker({ price_dollars: "hunter2" }), "msg.price_dollars is not a decimal number"],
      [ticker({ yes_bid_dollars: {} }), "msg.yes_bid_dollars is not a decimal number"],
      [ticker({ ts_ms: 1.5 }), "msg.ts_ms is not an instant"],
      [ticker({ ts_ms: undefined, ts: undefined, time: undefined }), "msg.ts_ms is missing"],
      [decode({ type: "ticker", msg: tickerMsg }), "sid is missing"],
      [decode({ type: "ticker", sid: 1 }), "msg is not an object"],
      [decode([]), "the frame is not an object"],
      [decode(null), "the frame is not an object"],
      [decode({ sid: 1 }), "type is missing"],
      [decodeFrame('{"type":"tick', 0), "it is not JSON"],
      [
        decode({
          type: "market_lifecycle_v2",
          sid: 1,
          msg: { market_ticker: "A", event_type: "determined", settlement_value: "x" }
        }),
        "msg.settlement_value is not well formed"
      ]
    ]
    for (const [frame, cause] of cases) assert.deepStrictEqual(frame, { _tag: "Malformed", cause })
  })

  it("takes the older clocks when ts_ms is absent", () => {
    const millis = (changes: object) =>
      (ticker({ ts_ms: undefined, ...changes }) as { tick: { exchangeMillis: number } }).tick.exchangeMillis
    assert.strictEqual(millis({}), 1787603412000)
    assert.strictEqual(millis({ ts: undefined }), 1787603412345)
  })

  it("reads trades and books", () => {
    const msg = {
      trade_id: "t",
      market_ticker: "A",
      yes_price_dollars: "0.9900",
      no_price_dollars: "0.0100",
      count_fp: "93.00",
      taker_side: "no",
      taker_outcome_side: "no",
      is_block_trade: false,
      ts: 1789581934,
      ts_ms: 1789581934126
    }
    assert.deepStrictEqual(decode({ type: "trade", sid: 2, seq: 1, msg }), {
      _tag: "Trade",
      sid: 2,
      seq: 1,
      sendingMillis: undefined,
      trade: {
        tradeId: "t",
        ticker: "A",
        count: "93.00",
        yesPrice: "0.9900",
        noPrice: "0.0100",
        takerSide: "no",
        isBlockTrade: false,
        createdTime: "2026-09-16T18:05:34.126Z"
      }
    })
    assert.deepStrictEqual(
      decode({
        type: "orderbook_snapshot",
        sid: 1,
        seq: 1,
        msg: { market_ticker: "A", market_id: "i", yes_dollars_fp: [["0.0100", "13999.44"]] }
      }),
      {
        _tag: "OrderbookSnapshot",
        id: undefined,
        sid: 1,
        seq: 1,
        book: { ticker: "A", yes: [["0.0100", "13999.44"]], no: [] }
      }
    )
    assert.deepStrictEqual(
      decode({
        type: "orderbook_delta",
        sid: 1,
        seq: 5,
        msg: {
          market_ticker: "A",
          market_id: "i",
          price_dollars: "0.3500",
          delta_fp: "-1568.00",
          side: "yes",
          ts: "2026-09-16T18:03:48.332273Z",
          ts_ms: 1789581828332
        }
      }),
      {
        _tag: "OrderbookDelta",
        sid: 1,
        seq: 5,
        ticker: "A",
        side: "yes",
        price: "0.3500",
        delta: "-1568.00",
        exchangeMillis: 1789581828332
      }
    )
  })

  it("reads the lifecycle: each message says only what it says", () => {
    const market = (msg: object) => {
      const frame = decode({ type: "market_lifecycle_v2", sid: 1, seq: 7, msg: { market_ticker: "A", ...msg } })
      return (frame as { market: unknown }).market
    }
    assert.deepStrictEqual(
      market({ event_type: "determined", determination_ts: 1784501722, result: "no", settlement_value: "0.0000" }),
      {
        ticker: "A",
        status: "determined",
        determinationTime: "2026-07-19T22:55:22.000Z",
        result: "no",
        settlementValue: "0.0000"
      }
    )
    assert.deepStrictEqual(market({ event_type: "settled", settled_ts: 1784500206 }), {
      ticker: "A",
      status: "finalized",
      settlementTime: "2026-07-19T22:30:06.000Z"
    })
    assert.deepStrictEqual(market({ event_type: "deactivated", is_deactivated: true }), {
      ticker: "A",
      status: "inactive"
    })
    assert.deepStrictEqual(market({ event_type: "something_new" }), { ticker: "A" })
    assert.deepStrictEqual(
      market({
        event_type: "created",
        open_ts: 1787601600,
        close_ts: 1787605200,
        exchange_index: 2,
        price_level_structure: "linear_cent",
        additional_metadata: {
          name: "n",
          event_ticker: "E",
          title: "t",
          yes_sub_title: "y",
          can_close_early: true,
          strike_type: "greater",
          floor_strike: 80749.99,
          expected_expiration_ts: 1787605500
        }
      }),
      {
        ticker: "A",
        eventTicker: "E",
        title: "t",
        yesSubTitle: "y",
        openTime: "2026-08-24T20:00:00.000Z",
        closeTime: "2026-08-24T21:00:00.000Z",
        expectedExpirationTime: "2026-08-24T21:05:00.000Z",
        canCloseEarly: true,
        strikeType: "greater",
        floorStrike: "80749.99",
        priceLevelStructure: "linear_cent",
        exchangeIndex: 2
      }
    )
    const event = decode({
      type: "event_lifecycle",
      sid: 1,
      seq: 8,
      msg: { event_ticker: "E", subtitle: "s", series_ticker: "S", strike_date: 1787605200 }
    })
    assert.deepStrictEqual((event as { event: unknown }).event, {
      eventTicker: "E",
      seriesTicker: "S",
      subTitle: "s",
      strikeDate: "2026-08-24T21:00:00.000Z"
    })
  })

  it("reads replies", () => {
    assert.deepStrictEqual(decode({ type: "subscribed", id: 1, msg: { channel: "ticker", sid: 3 } }), {
      _tag: "Subscribed",
      id: 1,
      channel: "ticker",
      sid: 3
    })
    assert.deepStrictEqual(decode({ type: "ok", id: 2, sid: 1, seq: 7, msg: { market_tickers: ["A"] } }), {
      _tag: "Ok",
      id: 2,
      sid: 1,
      seq: 7,
      marketTickers: ["A"],
      subscriptions: undefined
    })
    assert.deepStrictEqual(decode({ type: "ok", id: 4, msg: [{ channel: "ticker", sid: 1 }] }), {
      _tag: "Ok",
      id: 4,
      sid: undefined,
      seq: undefined,
      marketTickers: undefined,
      subscriptions: [{ channel: "ticker", sid: 1 }]
    })
    assert.deepStrictEqual(decode({ type: "unsubscribed", id: 3, sid: 1, seq: 9 }), {
      _tag: "Unsubscribed",
      id: 3,
      sid: 1,
      seq: 9
    })
    assert.deepStrictEqual(decode({ type: "error", sid: 2, msg: { code: 25, msg: "overflow" } }), {
      _tag: "ErrorReply",
      id: undefined,
      sid: 2,
      seq: undefined,
      code: 25,
      msg: "overflow"
    })
  })

  it("passes over unknown types, fields and words, and tells of them", () => {
    const told: Array<string> = []
    const unknowns: Unknowns = {
      field: (payload, field) => told.push(`${payload}.${field}`),
      value: (payload, field, value) => told.push(`${payload}.${field}=${value}`),
      frameType: (type) => told.push(type)
    }
    const hear = (frame: unknown) => {
      told.length = 0
      const { _tag } = decodeFrame(JSON.stringify(frame), 1, unknowns)
      return [_tag, ...told]
    }
    const msg = { market_ticker: "A" }
    const tradeMsg = {
      ...msg,
      trade_id: "t",
      yes_price_dollars: "0.5",
      no_price_dollars: "0.5",
      count_fp: "1",
      ts_ms: 1
    }
    assert.deepStrictEqual(hear({ type: "from_the_future", x: 1 }), ["Unknown", "envelope.x", "from_the_future"])
    assert.deepStrictEqual(decode({ type: "from_the_future", sid: 3, seq: "9" }), {
      _tag: "Unknown",
      type: "from_the_future",
      sid: 3,
      seq: undefined
    })
    assert.deepStrictEqual(
      hear({ type: "ticker", sid: 1, sending_ts_ms: 5, hop: 1, msg: { ...tickerMsg, mood: "bullish" } }),
      ["Ticker", "envelope.hop", "ticker.mood"]
    )
    assert.deepStrictEqual(
      hear({ type: "trade", sid: 1, msg: { ...tradeMsg, taker_outcome_side: "both", taker_book_side: "mid", x: 1 } }),
      ["Trade", "trade.x", "trade.taker_outcome_side=both", "trade.taker_book_side=mid"]
    )
    assert.deepStrictEqual(
      hear({ type: "trade", sid: 1, msg: { ...tradeMsg, taker_side: "", taker_book_side: null } }),
      ["Trade"]
    )
    assert.deepStrictEqual(
      hear({ type: "orderbook_delta", sid: 1, msg: { ...msg, price_dollars: "0.1", delta_fp: "1", side: "maybe" } }),
      ["Malformed", "orderbook_delta.side=maybe"]
    )
    assert.deepStrictEqual(
      hear({ type: "market_lifecycle_v2", sid: 1, msg: { ...msg, event_type: "vanished", result: "void", y: 1 } }),
      [
        "MarketLifecycle",
        "market_lifecycle_v2.y",
        "market_lifecycle_v2.event_type=vanished",
        "market_lifecycle_v2.result=void"
      ]
    )
    const additional_metadata = { strike_type: "round", price: 1 }
    assert.deepStrictEqual(
      hear({ type: "market_lifecycle_v2", sid: 1, msg: { ...msg, event_type: "created", additional_metadata } }),
      [
        "MarketLifecycle",
        "market_lifecycle_v2.additional_metadata.price",
        "market_lifecycle_v2.additional_metadata.strike_type=round"
      ]
    )
    assert.deepStrictEqual(
      hear({ type: "event_fee_update", sid: 1, msg: { event_ticker: "E", fee_type_override: "cubic", z: 1 } }),
      ["EventLifecycle", "event_lifecycle.z", "event_lifecycle.fee_type_override=cubic"]
    )
    assert.deepStrictEqual(hear({ type: "subscribed", msg: { channel: "ticker", sid: 1, since: 1 } }), [
      "Subscribed",
      "subscribed.since"
    ])
    assert.deepStrictEqual(hear({ type: "ok", sid: 1, msg: { market_ids: [] } }), ["Ok", "ok.market_ids"])
    assert.deepStrictEqual(hear({ type: "error", msg: { code: 99, msg: "?", hint: "" } }), [
      "ErrorReply",
      "error.hint",
      "error.code=99"
    ])
  })
})
