import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { PredictedEvent, PredictedMarket, PredictionContext } from "../../docs/examples/handler-types.d.ts"
import { emptyNotes, type ForecastRequest } from "../../src/prediction/Handler.ts"
import { userHandler } from "../../src/prediction/UserHandler.ts"
import * as UserTypes from "../../src/prediction/UserTypes.ts"
import { sha256 } from "../../src/runtime/Sha256.ts"
import type { ForecastMarket } from "../../src/store/ForecastInputs.ts"
import { now } from "./ForecastFixture.ts"

const market = (ticker: string, mid: string | null): ForecastMarket => ({
  ticker,
  title: ticker,
  yesSubTitle: null,
  rules: null,
  openTime: null,
  closeTime: "2026-08-24T16:00:00Z",
  strikeType: "greater",
  floorStrike: "10",
  capStrike: null,
  volume: "5000.00",
  openInterest: null,
  quote: {
    source: "tick",
    ts: "2026-08-24T15:29:50.000000Z",
    receivedAt: "2026-08-24T15:29:50.040000Z",
    yesBid: "0.4000",
    yesAsk: "0.4200",
    price: "0.4100",
    mid
  }
})

const request: ForecastRequest = {
  at: now,
  event: {
    eventTicker: "E",
    seriesTicker: null,
    title: "E?",
    subTitle: null,
    category: null,
    strikePeriod: "hour",
    strikeDate: null,
    mutuallyExclusive: false
  },
  markets: [market("E-A", "0.4100"), market("E-B", null)],
  documents: Effect.succeed([
    { id: 7, source: "news", title: null, piece: 0, publishedAt: null, content: "rain", score: 1 }
  ]),
  history: () => Effect.succeed([])
}

/** What the declarations promise is what is given. */
const given: readonly [PredictedEvent, ReadonlyArray<PredictedMarket>, PredictionContext] = [
  UserTypes.eventOf(request.event),
  request.markets.map(UserTypes.marketOf),
  UserTypes.contextOf(request, [])
]

const module = (body: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), "handler-"))
      fs.writeFileSync(path.join(directory, "mine.mjs"), body)
      return path.join(directory, "mine.mjs")
    }),
    (file) => Effect.sync(() => fs.rmSync(path.dirname(file), { recursive: true }))
  )

const handlerOf = Effect.fnUntraced(function* (body: string, seconds = 10) {
  const file = yield* module(body)
  return yield* userHandler({ reference: `${file}#predictEvent`, model: "mine-1", instructions: "be right", seconds })
})

describe("a function of the user's", () => {
  it.live("is given event, markets, context and prompt, and what it says is what is kept", () =>
    Effect.gen(function* () {
      const handler = yield* handlerOf(`
        export const predictEvent = async (event, markets, context, prompt) => [
          { market_ticker: markets[1].ticker, yes_prob: 0, confidence: null, raw: { event, markets, context, prompt } }
        ]`)
      const notes = emptyNotes()
      const [forecast] = yield* handler.predict(request, notes)
      assert.strictEqual(handler.name, "user:mine.mjs#predictEvent")
      assert.strictEqual(handler.model, "mine-1")
      assert.deepStrictEqual([forecast!.marketTicker, forecast!.yesProb], ["E-B", 0])
      const documents = yield* request.documents
      assert.deepStrictEqual(forecast!.raw, {
        event: given[0],
        markets: given[1],
        context: UserTypes.contextOf(request, documents),
        prompt: "be right"
      } as never)
      assert.deepStrictEqual([notes.documents, notes.promptHash], [[7], sha256("be right")])
    }).pipe(Effect.scoped)
  )

  it.live("the example of the docs works", () =>
    Effect.gen(function* () {
      const handler = yield* userHandler({
        reference: "./docs/examples/my-handler.js#predictEvent",
        model: undefined,
        instructions: "",
        seconds: 10
      })
      const forecasts = yield* handler.predict(request, emptyNotes())
      assert.deepStrictEqual(
        forecasts.map(({ confidence, marketTicker, yesProb }) => [marketTicker, yesProb, confidence]),
        [["E-A", 0.41, 1]]
      )
    }).pipe(Effect.scoped)
  )

  const wrong: Readonly<Record<string, readonly [body: string, says: string]>> = {
    throws: ["export const predictEvent = () => { throw new Error('no data') }", "no data"],
    rejects: ["export const predictEvent = async () => { throw 'no data' }", "no data"],
    "gives nothing": ["export const predictEvent = () => undefined", "not a list"],
    "gives a word for a number": [
      "export const predictEvent = () => [{ market_ticker: 'E-A', yes_prob: '0.5' }]",
      "not a list"
    ],
    "gives a probability above 1": [
      "export const predictEvent = () => [{ market_ticker: 'E-A', yes_prob: 1.01 }]",
      "not a list"
    ],
    "gives no number": ["export const predictEvent = () => [{ market_ticker: 'E-A', yes_prob: NaN }]", "not a list"],
    "gives what is no JSON": ["export const predictEvent = () => [{ market_ticker: 'E-A', yes_prob: 1n }]", "BigInt"],
    "gives too much": [
      "export const predictEvent = () => [{ market_ticker: 'E-A', yes_prob: 1, raw: 'x'.repeat(70000) }]",
      "longer than"
    ],
    "ends its thread": ["export const predictEvent = () => { process.exit(3) }", "thread ended"]
  }
  it.live.each(Object.entries(wrong))("that %s has failed, and the next call works", ([, [body, says]]) =>
    Effect.gen(function* () {
      const file = yield* module(body)
      const handler = yield* userHandler({
        reference: `${file}#predictEvent`,
        model: undefined,
        instructions: "",
        seconds: 10
      })
      const first = yield* Effect.flip(handler.predict(request, emptyNotes()))
      const second = yield* Effect.flip(handler.predict(request, emptyNotes()))
      assert.include(first.message, says)
      assert.include(second.message, says)
    }).pipe(Effect.scoped)
  )

  it.live("that never returns is ended, and does not hold up the next call", () =>
    Effect.gen(function* () {
      const handler = yield* handlerOf(
        `let calls = 0
         export const predictEvent = (event, markets, context) => {
           if (context.now.startsWith("2026-08-24T15:30")) for (;;) calls++
           return [{ market_ticker: "E-A", yes_prob: 0.5 }]
         }`,
        1.5
      )
      const began = yield* Clock.currentTimeMillis
      const error = yield* Effect.flip(handler.predict(request, emptyNotes()))
      assert.include(error.message, "longer than 1.5 s")
      const next = yield* handler.predict({ ...request, at: now + 3_600_000 }, emptyNotes())
      assert.strictEqual(next.length, 1)
      assert.isAbove((yield* Clock.currentTimeMillis) - began, 1400)
    }).pipe(Effect.scoped)
  )

  it.live("that does not exist is told in one line before anything runs", () =>
    Effect.gen(function* () {
      const file = yield* module("export const other = 1")
      const broken = yield* module("export const predictEvent = (")
      for (const [reference, says] of [
        [`${file}#predictEvent`, "exports no function predictEvent"],
        [`${file}#other`, "exports no function other"],
        [`${broken}#predictEvent`, "cannot be used"],
        ["./nowhere.js#predictEvent", "cannot be used"]
      ] as const) {
        const error = yield* Effect.flip(userHandler({ reference, model: undefined, instructions: "", seconds: 5 }))
        assert.strictEqual(error.setting, "PREDICTION_HANDLER")
        assert.include(error.message, says)
        assert.notInclude(error.message, "\n")
      }
    }).pipe(Effect.scoped)
  )
})
