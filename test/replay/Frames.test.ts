import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { inOrder, padded } from "../../src/replay/DatabaseFrames.ts"
import { partsOf, type Recorded, tickerOf } from "../../src/replay/Recorded.ts"
import { inYesPrices, ReplayFloor } from "../../src/replay/ReplayFloor.ts"

const Message = Schema.Record(
  Schema.String,
  Schema.Union([Schema.String, Schema.Int, Schema.Record(Schema.String, Schema.String)])
)

describe("frames of a recording", () => {
  it.effect.prop(
    "are taken apart without a change of their message, whatever it holds and whatever follows it",
    {
      message: Message,
      others: Schema.Record(Schema.String, Schema.Union([Schema.Int, Message])),
      seq: Schema.Boolean
    },
    ({ message, others, seq }) =>
      Effect.sync(() => {
        const { id: _, msg: __, seq: ___, sid: ____, type: _____, ...rest } = others
        const text = JSON.stringify(message)
        const tail = Object.keys(rest).length === 0 ? "" : `,${JSON.stringify(rest).slice(1, -1)}`
        const parts = partsOf(`{"type":"ticker","sid":7,${seq ? '"seq":3,' : ""}"msg":${text}${tail}}`)
        assert.deepStrictEqual(parts, { type: "ticker", sid: 7, msg: text, tail })
      })
  )

  it("are told from replies, and from what is no frame", () => {
    for (const raw of [
      '{"type":"ok","id":1,"sid":1,"seq":2,"msg":{"market_tickers":["A"]}}',
      '{"type":"subscribed","id":1,"msg":{"channel":"ticker","sid":1}}',
      '{"type":"error","id":5,"msg":{"code":12}}',
      '{"type":"ticker","sid":1,"msg":{"market_ticker":"A"',
      "[1]",
      ""
    ])
      assert.isUndefined(partsOf(raw), raw)
    assert.deepStrictEqual(partsOf('{"msg":{"a":1},"type":"x","sid":2,"sending_ts_ms":5}'), {
      type: "x",
      sid: 2,
      msg: '{"a":1}',
      tail: ',"sending_ts_ms":5'
    })
    assert.strictEqual(tickerOf('{"market_ticker":"A\\"B"}'), 'A"B')
    assert.strictEqual(tickerOf('{"event_ticker":"A"}'), "")
  })

  const Stamps = Schema.Array(
    Schema.Tuple([
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 39 })),
      Schema.Int.check(Schema.isBetween({ minimum: -5, maximum: 25 }))
    ])
  )

  it.effect.prop(
    "of windows come once each, in the order of reception but for those that came before their window",
    { stamps: Stamps },
    ({ stamps }) =>
      Effect.sync(() => {
        const frames = stamps.map(([ts, late], n) => ({
          ts,
          frame: {
            atMillis: Math.max(0, ts + late),
            channel: "ticker",
            type: "ticker",
            ticker: String(n),
            msg: "{}",
            tail: ""
          } satisfies Recorded
        }))
        const order = inOrder()
        const out: Array<Recorded> = []
        for (let from = 0; from < 40; from += 10) {
          const inWindow = frames
            .filter(({ ts }) => ts >= from && ts < from + 10)
            .map(({ frame }) => frame)
            .sort((a, b) => a.atMillis - b.atMillis)
          for (let at = 0; at < inWindow.length; at += 2) out.push(...order.take(inWindow.slice(at, at + 2), from + 10))
          out.push(...order.endWindow(from + 10))
        }
        out.push(...order.rest())
        assert.deepStrictEqual(out.map(({ ticker }) => ticker).sort(), frames.map(({ frame }) => frame.ticker).sort())
        let reached = 0
        for (const { atMillis, ticker } of out) {
          const { ts } = frames[Number(ticker)]!
          const windowStart = Math.floor(ts / 10) * 10
          assert.isTrue(atMillis >= reached || atMillis < windowStart, `${atMillis} after ${reached}`)
          reached = Math.max(reached, atMillis)
        }
      })
  )

  it("write numbers as the exchange does, and lose no digit", () => {
    assert.deepStrictEqual(
      ["0.47", "0.470000", "0.00005", "1", "-88.5", "2561.00"].map((text) => [padded(text, 4), padded(text, 2)]),
      [
        ["0.4700", "0.47"],
        ["0.4700", "0.47"],
        ["0.00005", "0.00005"],
        ["1.0000", "1.00"],
        ["-88.5000", "-88.50"],
        ["2561.0000", "2561.00"]
      ]
    )
    assert.strictEqual(padded("2561.00", 0), "2561")
  })

  it("keep a book exact through more changes than wait at once", () => {
    const floor = new ReplayFloor()
    const say = (type: string, msg: object) =>
      floor.apply({ atMillis: 0, channel: "orderbook_delta", type, ticker: "A", msg: JSON.stringify(msg), tail: "" })
    say("orderbook_delta", { side: "yes", price_dollars: "0.1000", delta_fp: "5.00" })
    assert.isUndefined(floor.book("A", false))
    say("orderbook_snapshot", { market_ticker: "A", yes_dollars_fp: [["0.4500", "0.10"]] })
    for (let n = 0; n < 1_500; n++) say("orderbook_delta", { side: "no", price_dollars: "0.5300", delta_fp: "0.10" })
    say("orderbook_delta", { side: "yes", price_dollars: "0.4500", delta_fp: "-0.10" })
    assert.deepStrictEqual(floor.levels("A"), { yes: [], no: [["0.5300", "150.00"]] })
    assert.deepStrictEqual(JSON.parse(floor.book("A", true)!), {
      market_ticker: "A",
      no_dollars_fp: [["0.4700", "150.00"]]
    })
    const delta = '{"side":"no","price_dollars":"0.5300","delta_fp":"1.00"}'
    assert.strictEqual(JSON.parse(inYesPrices("orderbook_delta", delta)).price_dollars, "0.4700")
    assert.strictEqual(inYesPrices("orderbook_delta", delta.replace("no", "yes")), delta.replace("no", "yes"))
  })
})
