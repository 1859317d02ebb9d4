import { assert, describe, it, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { EventLifecycleWire, MarketLifecycleWire } from "../../src/kalshi/LifecycleWire.ts"
import { decodeFrame, frameKeys } from "../../src/kalshi/SocketWire.ts"
import * as Vocabulary from "../../src/kalshi/Vocabulary.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { connect, fetchJson, start } from "../simulator/Support.ts"
import { recorded } from "./contract/recorded.ts"
import type { Shape } from "./contract/Shape.ts"
import { wireShape } from "./contract/WireShape.ts"

const elsewhere = "tickers and books carry it; nobody has recorded it here"
const otherMarkets = "of kinds of markets that the simulated exchange does not have"
const ownOrders = "documented for our own orders, and we send none"
const someErrors = "documented for errors about a market"

/** What our decoders know and the simulated exchange never says, and why it is known all the same. */
const unsaid: Readonly<Record<string, string>> = {
  "error.market_ticker": someErrors,
  "error.market_tickers": someErrors,
  "market_lifecycle_v2.additional_metadata.custom_strike": otherMarkets,
  "market_lifecycle_v2.additional_metadata.functional_strike": otherMarkets,
  "market_lifecycle_v2.custom_strike": otherMarkets,
  "market_lifecycle_v2.functional_strike": otherMarkets,
  "market_lifecycle_v2.market_id": elsewhere,
  "orderbook_delta.client_order_id": ownOrders,
  "orderbook_delta.subaccount": ownOrders,
  "trade.market_id": elsewhere
}

type Json = Readonly<Record<string, unknown>>
const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const keysOf = (shape: Shape): ReadonlySet<string> => new Set(shape._tag === "Object" ? shape.fields.keys() : [])
const metadata = (shape: Shape) =>
  shape._tag === "Object" ? shape.fields.get("additional_metadata")!.shape() : assert.fail("lifecycle is an object")

const known: Readonly<Record<string, ReadonlySet<string>>> = {
  ...frameKeys,
  market_lifecycle_v2: keysOf(wireShape(MarketLifecycleWire)),
  "market_lifecycle_v2.additional_metadata": keysOf(metadata(wireShape(MarketLifecycleWire))),
  event_lifecycle: keysOf(wireShape(EventLifecycleWire))
}

const payloads: Readonly<Record<string, string>> = {
  multivariate_market_lifecycle: "market_lifecycle_v2",
  event_fee_update: "event_lifecycle"
}

/** The keys of each payload in some frames. */
const saidBy = (frames: Iterable<string>): ReadonlyMap<string, ReadonlySet<string>> => {
  const said = new Map<string, Set<string>>()
  const add = (payload: string, value: unknown) => {
    if (!isJson(value)) return
    const keys = said.get(payload) ?? new Set()
    said.set(payload, keys)
    for (const key of Object.keys(value)) keys.add(key)
    if (payload === "market_lifecycle_v2") add(`${payload}.additional_metadata`, value["additional_metadata"])
  }
  for (const raw of frames) {
    const frame = JSON.parse(raw)
    add("envelope", frame)
    add(payloads[frame.type] ?? frame.type, frame.msg)
  }
  return said
}

/** What the decoders make of some frames that they do not know. */
const unknownIn = (frames: Iterable<string>): ReadonlyArray<string> => {
  const unknown = new Set<string>()
  for (const raw of frames) {
    const frame = decodeFrame(raw, start, {
      field: (payload, field) => unknown.add(`${payload}.${field}`),
      value: (payload, field, value) => unknown.add(`${payload}.${field}=${value}`),
      frameType: (type) => unknown.add(type)
    })
    if (frame._tag === "Malformed") unknown.add(`${frame.cause}: ${raw}`)
  }
  return [...unknown]
}

const names = (said: ReadonlyMap<string, ReadonlySet<string>>) =>
  new Set([...said].flatMap(([payload, keys]) => [...keys].map((key) => `${payload}.${key}`)))

/** A frame's keys, those of the parts of its message too, by its type and kind. */
const formOf = (raw: string): readonly [kind: string, keys: ReadonlyArray<string>] => {
  const { msg, type, ...envelope } = JSON.parse(raw)
  return [
    `${type} ${msg?.event_type ?? ""}`,
    [...Object.keys(envelope), ...Object.keys(msg ?? {}).map((key) => `msg.${key}`)].sort()
  ]
}

interface Listed {
  readonly ticker: string
  readonly event_ticker: string
  readonly floor_strike?: number
  readonly cap_strike?: number
  readonly yes_bid_dollars: string
}

/** Every text of one connection on which everything that can be heard is heard. */
class Heard extends Context.Service<Heard, ReadonlyArray<string>>()("test/Heard") {
  static readonly layer = Layer.effect(
    Heard,
    Effect.gen(function* () {
      const { control, restUrl, ...simulator } = yield* Simulator
      const client = yield* connect(simulator.wsUrl, simulator)
      const body = yield* Effect.promise(() =>
        fetchJson(`${restUrl}/markets?status=open&mve_filter=exclude&limit=1000`)
      )
      const markets: ReadonlyArray<Listed> = body.markets
      const [one, other] = markets.filter(
        ({ cap_strike, floor_strike, yes_bid_dollars }) =>
          cap_strike !== undefined && floor_strike !== undefined && Number(yes_bid_dollars) > 0.2
      )
      if (one === undefined || other === undefined) return assert.fail("no two traded markets between two strikes")
      let id = 0
      const ask = (cmd: string, params?: unknown) => client.ask(Object.assign({ id: ++id }, { cmd, params }))
      yield* ask("subscribe", { channels: ["ticker"], market_tickers: [one.ticker], send_initial_snapshot: true })
      yield* ask("subscribe", { channels: ["trade"], market_tickers: [one.ticker, other.ticker] })
      yield* ask("subscribe", { channels: ["market_lifecycle_v2"] })
      yield* ask("subscribe", { channels: ["multivariate_market_lifecycle"] })
      yield* ask("subscribe", { channels: ["orderbook_delta"], market_tickers: [one.ticker] })
      yield* ask("update_subscription", { sid: 5, action: "add_markets", market_ticker: other.ticker })
      yield* ask("list_subscriptions")
      yield* ask("dance")
      yield* control.advance(60_000)
      yield* control.deactivate(one.ticker)
      yield* control.activate(one.ticker)
      yield* control.moveClose(one.ticker, start + 8 * 60_000)
      yield* control.changePriceLevels(one.ticker)
      yield* control.rename(one.ticker, "another name")
      yield* control.changeFees(one.event_ticker, "flat", 2)
      yield* control.advance(70 * 60_000)
      yield* ask("unsubscribe", { sids: [1] })
      return client.texts
    })
  ).pipe(
    Layer.provide(Simulator.layer({ speed: 0, startMs: start, seed: 3, strictness: { novelty: 0, sendingTs: true } }))
  )
}

layer(Heard.layer)("the simulated exchange's frames and our decoders", (it) => {
  it.effect("know the same types, fields and words, but for what is listed", () =>
    Effect.gen(function* () {
      const texts = yield* Heard
      assert.deepStrictEqual(unknownIn(texts), [])
      const said = names(saidBy(texts))
      const all = names(new Map(Object.entries(known)))
      assert.deepStrictEqual([...all].filter((name) => !said.has(name)).sort(), Object.keys(unsaid).sort())
      const kinds = new Set(texts.map((text) => JSON.parse(text).msg?.event_type))
      assert.deepStrictEqual(
        [...Vocabulary.lifecycleKinds].filter((kind) => !kinds.has(kind)),
        []
      )
    })
  )

  it.effect("are of the form of the recorded ones", () =>
    Effect.gen(function* () {
      const forms = new Map((yield* Heard).map(formOf))
      for (const raw of recorded) {
        const [kind, keys] = formOf(raw)
        assert.deepStrictEqual(
          forms.get(kind)?.filter((key) => key !== "sending_ts_ms"),
          keys,
          kind
        )
      }
    })
  )
})

describe("our decoders", () => {
  it("know everything in frames recorded from the live exchange", () => {
    assert.deepStrictEqual(unknownIn(recorded), [])
  })

  it("would tell of a frame that changes", () => {
    const trade = recorded[1]!
    assert.deepStrictEqual(unknownIn([trade.replace('"taker_side"', '"taker"')]), ["trade.taker"])
    assert.deepStrictEqual(unknownIn([trade.replace('"ask"', '"offer"')]), ["trade.taker_book_side=offer"])
    assert.deepStrictEqual(unknownIn([trade.replace('"trade"', '"trade_v2"')]), ["trade_v2"])
    assert.match(unknownIn([trade.replace('"count_fp"', '"count"')]).join(), /^trade.count,msg.count_fp is missing/)
  })
})
