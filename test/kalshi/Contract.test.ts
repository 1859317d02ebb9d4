import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as CandleWire from "../../src/kalshi/CandleWire.ts"
import * as ExchangeWire from "../../src/kalshi/ExchangeWire.ts"
import { MarketWire } from "../../src/kalshi/MarketWire.ts"
import * as RestWire from "../../src/kalshi/RestWire.ts"
import { open, payload } from "../../src/kalshi/Unknowns.ts"
import * as Wire from "../../src/kalshi/Wire.ts"
import { ClientModels, installedVersion, textOf } from "./contract/ClientModels.ts"
import { differences } from "./contract/Shape.ts"
import { wireShape } from "./contract/WireShape.ts"

/** The client that `accepted` was written for: after an upgrade, look at what differs and then change both. */
const madeFor = "3.30.0"

const openText = "the client promises no list of words; ours are those documented or seen, and others are counted"
const margin = "the live exchange sends it (seen in 2026), the client does not name it"

/** Where we differ from the client, knowingly, and why. */
const accepted: Readonly<Record<string, string>> = {
  "account_limits.usage_tier: any text in the client": openText,
  "event.collateral_return_type: any text in the client": openText,
  "event.fee_type_override: any text in the client": openText,
  "market.price_level_structure: any text in the client": openText,
  "series.frequency: any text in the client": openText,
  'event_fee_change.fee_type_override: "margin_market_maker_program_fees" only ours': margin,
  'series.fee_type: "margin_market_maker_program_fees" only ours': margin,
  'series_fee_change.fee_type: "margin_market_maker_program_fees" only ours': margin
}

/** What answers each call of ours in the client's words, and what reads it here. */
const answers: ReadonlyArray<readonly [api: string, method: string, decode: RestWire.Decode<unknown>]> = [
  ["EventsApi", "getEvents", RestWire.eventsPage],
  ["EventsApi", "getEvent", RestWire.event],
  ["EventsApi", "getEventFeeChanges", ExchangeWire.eventFeeChangesPage],
  ["EventsApi", "getMarketCandlesticksByEvent", CandleWire.eventCandles(1)],
  ["MarketApi", "getMarkets", RestWire.marketsPage],
  ["MarketApi", "getMarket", RestWire.market],
  ["MarketApi", "getSeriesList", RestWire.seriesList],
  ["MarketApi", "getSeries", RestWire.series],
  ["MarketApi", "getTrades", RestWire.tradesPage],
  ["MarketApi", "getMarketOrderbook", RestWire.orderbook("A")],
  ["MarketApi", "getMarketOrderbooks", RestWire.orderbooks],
  ["MarketApi", "getMarketCandlesticks", CandleWire.candles("A", 1)],
  ["MarketApi", "batchGetMarketCandlesticks", CandleWire.batchCandles(1)],
  ["HistoricalApi", "getHistoricalCutoff", ExchangeWire.historicalCutoff],
  ["HistoricalApi", "getHistoricalMarkets", RestWire.marketsPage],
  ["HistoricalApi", "getHistoricalMarket", RestWire.market],
  ["HistoricalApi", "getTradesHistorical", RestWire.tradesPage],
  ["HistoricalApi", "getMarketCandlesticksHistorical", CandleWire.historicalCandles("A", 1)],
  ["ExchangeApi", "getExchangeStatus", ExchangeWire.exchangeStatus],
  ["ExchangeApi", "getExchangeSchedule", ExchangeWire.exchangeSchedule],
  ["ExchangeApi", "getSeriesFeeChanges", ExchangeWire.seriesFeeChanges],
  ["AccountApi", "getAccountApiLimits", ExchangeWire.accountLimits]
]

const compared = (models: ClientModels): ReadonlyArray<string> => {
  const lines = answers.flatMap(([api, method, decode]) =>
    differences(`${api}.${method}`, wireShape(decode.schema), models.response(api, method))
  )
  return [...new Set(lines)].sort()
}

/** What differs unknowingly from a client one of whose files is changed, and what does not differ any more. */
const afterChange = (file: string, ...changes: ReadonlyArray<readonly [from: string, to: string]>) => {
  let text = textOf(file)
  for (const [from, to] of changes) {
    assert.strictEqual(text.split(from).length, 2, `${file} holds ${from} once`)
    text = text.replace(from, () => to)
  }
  const lines = compared(new ClientModels((asked) => (asked === file ? text : textOf(asked))))
  const gone = Object.keys(accepted).filter((line) => !lines.includes(line))
  return [...lines.filter((line) => !(line in accepted)), ...gone.map((line) => `no more: ${line}`)]
}

const root = path.resolve(import.meta.dirname, "../..")
const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))

describe("the official client's schemas and ours", () => {
  it("are compared for the client that is pinned", () => {
    assert.strictEqual(manifest.devDependencies["kalshi-typescript"], madeFor)
    assert.strictEqual(installedVersion, madeFor)
  })

  it("differ where we know it, and nowhere else", () => {
    assert.deepStrictEqual(compared(new ClientModels()), Object.keys(accepted).sort())
  })
})

describe("the comparison notices", () => {
  const cases: ReadonlyArray<
    readonly [what: string, file: string, from: string, to: string, ...lines: ReadonlyArray<string>]
  > = [
    ["nothing where nothing changed", "models/market.d.ts", "'open_time'", "'open_time'"],
    [
      "a field that is renamed",
      "models/market.d.ts",
      "'open_time': string",
      "'opens_at': string",
      "market.open_time: only ours",
      "market.opens_at: only in the client"
    ],
    ["a field that is removed", "models/trade.d.ts", "'created_time': string;", "", "trade.created_time: only ours"],
    [
      "a field that is added to a part of a part",
      "models/price-range.d.ts",
      "'step': string;",
      "'step': string; 'skew'?: string;",
      "market.price_ranges[].skew: only in the client"
    ],
    [
      "a field that is added to a body around a list",
      "models/get-markets-response.d.ts",
      "'cursor': string;",
      "'cursor': string; 'total'?: number;",
      "markets_page.total: only in the client"
    ],
    [
      "a field of another kind",
      "models/market.d.ts",
      "'can_close_early': boolean",
      "'can_close_early': string",
      "market.can_close_early: string in the client, boolean ours"
    ],
    [
      "a list instead of an object",
      "models/market-candlestick.d.ts",
      "'price': PriceDistribution",
      "'price': Array<PriceDistribution>",
      "candle.price: List in the client, Object ours"
    ],
    [
      "keys that nobody promises",
      "models/get-account-api-limits-response.d.ts",
      "'read': BucketLimit",
      "'read': object",
      "account_limits.read: its keys are open in the client"
    ],
    [
      "a field that may be absent where ours may not",
      "models/event-data.d.ts",
      "'event_ticker': string",
      "'event_ticker'?: string",
      "event.event_ticker: may be absent in the client"
    ],
    [
      "a field that may be null where ours may not",
      "models/bid-ask-distribution-historical.d.ts",
      "'open': string",
      "'open': string | null",
      "historical_candle.yes_ask.open: may be null in the client",
      "historical_candle.yes_bid.open: may be null in the client"
    ],
    [
      "a word that is added",
      "models/market.d.ts",
      'readonly Finalized: "finalized";',
      'readonly Finalized: "finalized"; readonly Void: "void";',
      'market.status: "void" only in the client'
    ],
    [
      "a word that is renamed",
      "models/book-side.d.ts",
      'readonly Bid: "bid";',
      'readonly Buy: "buy";',
      'trade.taker_book_side: "bid" only ours',
      'trade.taker_book_side: "buy" only in the client'
    ],
    [
      "a word that is removed",
      "models/market.d.ts",
      'readonly Disputed: "disputed";',
      "",
      'market.status: "disputed" only ours'
    ],
    [
      "words where there was any text",
      "models/exchange-status.d.ts",
      "'exchange_estimated_resume_time'?: string | null",
      "'exchange_estimated_resume_time'?: FeeType | null",
      "exchange_status.exchange_estimated_resume_time: one of quadratic, quadratic_with_maker_fees, quadratic_with_combo_maker_fees, flat in the client, any text ours"
    ],
    [
      "a difference that is no more",
      "models/fee-type.d.ts",
      'readonly FeeTypeFlat: "flat";',
      'readonly FeeTypeFlat: "flat"; readonly Margin: "margin_market_maker_program_fees";',
      'no more: event_fee_change.fee_type_override: "margin_market_maker_program_fees" only ours',
      'no more: series.fee_type: "margin_market_maker_program_fees" only ours',
      'no more: series_fee_change.fee_type: "margin_market_maker_program_fees" only ours'
    ],
    [
      "another answer to a call",
      "api/market-api.d.ts",
      'Promise<import("axios").AxiosResponse<GetTradesResponse, any, {}, any>>;\n}',
      'Promise<import("axios").AxiosResponse<GetMarketResponse, any, {}, any>>;\n}',
      "trades_page.cursor: only ours",
      "trades_page.market: only in the client",
      "trades_page.trades: only ours"
    ]
  ]
  for (const [what, file, from, to, ...lines] of cases)
    it(what, () => assert.deepStrictEqual(afterChange(file, [from, to]), lines))

  it("a change in what we do not read only when it goes", () => {
    assert.deepStrictEqual(afterChange("models/settlement-source.d.ts", ["'name'?: string", "'called'?: string"]), [])
    assert.deepStrictEqual(
      afterChange("models/event-data.d.ts", ["'settlement_sources': Array<SettlementSource> | null;", ""]),
      ["event.settlement_sources: only ours"]
    )
  })

  it("a call that is gone, and declarations it cannot read, with an error", () => {
    const change = (file: string, from: string, to: string) => () => afterChange(file, [from, to])
    assert.throws(
      change(
        "api/account-api.d.ts",
        "    getAccountApiLimits(options?: RawAxiosRequestConfig): Promise<import",
        "    getLimits(options?: RawAxiosRequestConfig): Promise<import"
      ),
      /no AccountApi.getAccountApiLimits/
    )
    assert.throws(
      change("models/trade.d.ts", "interface Trade ", "interface Trade extends Object "),
      /Trade extends another type/
    )
    assert.throws(change("models/trade.d.ts", "interface Trade ", "interface Fill "), /does not declare Trade/)
    assert.throws(
      change("models/trade.d.ts", "'count_fp': string;", "'count_fp': string | number;"),
      /Trade.count_fp is a union/
    )
    assert.throws(change("models/trade.d.ts", "'count_fp': string;", "'count_fp': bigint;"), /Trade.count_fp is bigint/)
    assert.throws(
      change("models/trade.d.ts", "'count_fp': string;", "'count_fp': [string];"),
      /Trade.count_fp is a TsTupleType/
    )
    assert.throws(
      change("models/book-side.d.ts", 'readonly Bid: "bid";', "readonly Bid: 1;"),
      /BookSide has a member that is no word/
    )
  })

  it("a change on our side", () => {
    const { open_time: _, ...fields } = MarketWire.fields
    const ours = Schema.Struct({
      ...fields,
      headline: Wire.Text,
      title: Schema.String,
      status: Wire.Word(new Set(["active", "asleep"])),
      market_type: Wire.Text,
      floor_strike: Wire.Text,
      price_ranges: Schema.Struct({}).annotate(open)
    }).annotate(payload("market"))
    assert.deepStrictEqual(differences("market", wireShape(ours), new ClientModels().model("Market")), [
      "market.market_type: one of binary, scalar in the client, any text ours",
      "market.title: may be absent in the client",
      'market.status: "asleep" only ours',
      'market.status: "initialized" only in the client',
      'market.status: "inactive" only in the client',
      'market.status: "closed" only in the client',
      'market.status: "determined" only in the client',
      'market.status: "disputed" only in the client',
      'market.status: "amended" only in the client',
      'market.status: "finalized" only in the client',
      "market.floor_strike: number in the client, string ours",
      "market.price_level_structure: any text in the client",
      "market.price_ranges: List in the client, Object ours",
      "market.headline: only ours",
      "market.open_time: only in the client"
    ])
  })
})
