import * as Effect from "effect/Effect"
import { type Scenario as FaultsName, scenarios as faultsOf } from "../../../src/simulator/Scenarios.ts"
import type { Facts, Scenario } from "../Scenario.ts"
import { type Stage, timed } from "../Stage.ts"
import { newMarkets } from "./Processes.ts"

interface Stats {
  readonly frames: Readonly<Record<string, number>>
  readonly dropped: Readonly<Record<string, number>>
  readonly severed: number
}

const total = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((sum, n) => sum + n, 0)

/** Records with faults on for a while, then without them; new markets in both, so that every channel has frames after the last fault. */
export const withFaults = Effect.fnUntraced(function* (
  stage: Stage,
  faults: unknown,
  settings: Readonly<Record<string, string>> = {}
) {
  yield* stage.faults({ missedSeconds: 3600 })
  yield* stage.startWs(settings)
  yield* stage.recording()
  yield* newMarkets(stage)
  yield* stage.faults(faults)
  yield* Effect.sleep(`${stage.play.forSeconds} seconds`)
  yield* stage.faults(null)
  yield* stage.faults({ missedSeconds: 3600 })
  yield* stage.exchange.post("burst", { markets: 10, withinSeconds: 0, leadSeconds: 1 })
  yield* Effect.sleep("1500 millis")
  yield* stage.recording(20)
  return yield* stage.exchange.json<Stats>("stats")
})

const struck = (what: string, count: number, facts: Facts = {}) =>
  count === 0
    ? Effect.die(new Error(`no ${what}: the scenario proves nothing`))
    : Effect.succeed({ [what]: count, ...facts })

const usual = { seed: 1, rate: 5_000, forSeconds: 30 }
const short = { seed: 1, rate: 400, forSeconds: 2 }

/** The exchange's own scenario of this name, with a part laid over it. */
const named = (name: FaultsName, over: object = {}) => ({ ...faultsOf[name], ...over })

const often = (rate: number) => ({
  trade: { rate },
  orderbook_delta: { rate },
  market_lifecycle_v2: { rate }
})

export const sequenceGaps: Scenario = {
  name: "sequence-gaps",
  about: "frames of the numbered channels vanish on the way",
  usual,
  short,
  act: Effect.fnUntraced(function* (stage) {
    const stats = yield* withFaults(stage, { drop: often(stage.play.forSeconds < 10 ? 0.1 : 0.02) })
    const [gaps] = yield* stage.query<{ frames: number }>(
      "select coalesce(sum(frames_missing), 0)::float8 as frames from capture_gaps where cause = 'sequence'"
    )
    return yield* struck("vanished", total(stats.dropped), { missingByNumbers: gaps?.frames })
  })
}

export const duplicateFrames: Scenario = {
  name: "duplicate-frames",
  about: "frames of the numbered channels come twice",
  usual,
  short,
  act: Effect.fnUntraced(function* (stage) {
    yield* withFaults(stage, { duplicate: often(0.2) })
    const again = yield* repeats(stage)
    return yield* struck("repeated", again)
  })
}

const repeats = (stage: Stage) =>
  Effect.forEach(["trade", "orderbook_delta"], (channel) =>
    Effect.map(
      stage.exchange.text(`sent?channel=${channel}`),
      (lines) => lines.split("\n").filter((line) => Number(line.split("\t")[2]) > 1).length
    )
  ).pipe(Effect.map((counts) => counts.reduce((sum, n) => sum + n, 0)))

export const poisonFrames: Scenario = {
  name: "poison-frames",
  about: "frames come that nobody can read or store, of every kind, between good ones",
  usual,
  short,
  act: Effect.fnUntraced(function* (stage) {
    const rate = stage.play.forSeconds < 10 ? 0.05 : 0.01
    yield* withFaults(stage, {
      poison: { ticker: { rate }, trade: { rate }, orderbook_delta: { rate }, market_lifecycle_v2: { rate: 0.2 } }
    })
    const kinds = new Map<string, number>()
    for (const line of (yield* stage.exchange.text("poisoned")).split("\n")) {
      const [, kind, count] = line.split("\t")
      if (kind !== undefined) kinds.set(kind, (kinds.get(kind) ?? 0) + Number(count))
    }
    // A type nobody knows is counted, not kept; the rest must be somewhere.
    const unknown = kinds.get("unknown-type") ?? 0
    const poison = [...kinds.values()].reduce((sum, n) => sum + n, 0)
    yield* stage.until(
      "every poison frame is in quarantine or, where only a text is odd, stored",
      Effect.gen(function* () {
        const [kept] = yield* stage.query<{ n: number }>(
          `select (select count(*) from quarantine)::int +
            (select count(*) from lifecycle_events where market_ticker like 'KXPOISON%')::int as n`
        )
        return kept!.n >= poison - unknown
      }),
      30
    )
    const [aside] = yield* stage.query<{ n: number }>("select count(*)::int as n from quarantine")
    return yield* struck("poison", poison, { aside: aside?.n, unknownTypes: unknown })
  })
}

export const clockJump: Scenario = {
  name: "clock-jump",
  about: "the stamps of frames jump back by 90 seconds and forth again",
  usual,
  short,
  act: Effect.fnUntraced(function* (stage) {
    const { forSeconds } = stage.play
    const everySeconds = forSeconds / 3
    yield* withFaults(
      stage,
      named("clock-jump", { clock: { jumpMs: -90_000, everySeconds, forSeconds: everySeconds / 3, jitter: 0.3 } })
    )
    const [late] = yield* stage.query<{ n: number }>(
      "select count(*)::int as n from market_ticks where received_at - ts > interval '60 seconds'"
    )
    return yield* struck("stampedBack", late?.n ?? 0)
  })
}

export const exchangeDrops: Scenario = {
  name: "exchange-drops",
  about: "the exchange ends connections: close codes, TCP resets, half-open sockets",
  usual: { seed: 1, rate: 5_000, forSeconds: 120 },
  short: { seed: 1, rate: 400, forSeconds: 5 },
  act: Effect.fnUntraced(function* (stage) {
    const brief = stage.play.forSeconds < 60
    const { severed } = yield* withFaults(
      stage,
      named("exchange-drops", {
        missedSeconds: 3600,
        // A half-open socket is noticed after 30 seconds without a ping.
        ...(brief ? { disconnect: { everySeconds: 1.5, jitter: 0.5, kinds: ["1000", "1001", "1011", "cut"] } } : {})
      })
    )
    return yield* struck("severed", severed)
  })
}

export const silentFeed: Scenario = {
  name: "silent-feed",
  about: "the exchange answers and pings, and sends no data, for longer than the watchdog needs",
  usual: { seed: 1, rate: 5_000, forSeconds: 60 },
  short: { seed: 1, rate: 2_000, forSeconds: 1 },
  settings: ({ forSeconds }) => ({ WS_SILENCE_SECONDS: forSeconds < 30 ? "1" : "5" }),
  act: Effect.fnUntraced(function* (stage) {
    yield* stage.faults({ missedSeconds: 3600 })
    yield* stage.startWs()
    yield* stage.recording()
    yield* newMarkets(stage)
    // What is due must be learnt before its absence is noticed.
    yield* Effect.sleep("4 seconds")
    const silences = (which: string) =>
      stage
        .query<{ n: number }>(`select count(*)::int as n from capture_gaps where cause = 'silence' and ${which}`)
        .pipe(Effect.map((rows) => rows[0]?.n ?? 0))
    yield* stage.faults({ silent: { on: true } })
    const { seconds } = yield* timed(
      stage.until(
        "the silence is noticed",
        Effect.map(silences("true"), (n) => n > 0)
      )
    )
    yield* Effect.sleep(`${Math.max(1, stage.play.forSeconds - seconds)} seconds`)
    yield* stage.faults({ silent: null })
    yield* stage.recording(200)
    yield* stage.until(
      "the silence is over",
      Effect.map(silences("to_ts is null"), (n) => n === 0),
      20
    )
    return yield* struck("unheard", total((yield* stage.exchange.json<Stats>("stats")).dropped), {
      silences: yield* silences("true"),
      noticedAfterSeconds: seconds
    })
  })
}
