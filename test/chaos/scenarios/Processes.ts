import * as Effect from "effect/Effect"
import { dice, type Scenario } from "../Scenario.ts"
import type { Stage } from "../Stage.ts"

/** New markets all the while, so that subscriptions and lifecycle messages are in it, too. */
export const newMarkets = ({ exchange, play }: Stage) =>
  exchange.post("burst", { markets: 30, withinSeconds: play.forSeconds, leadSeconds: 1 })

/** Ends ws again and again at seeded moments, also while it starts or catches up. */
const ended = (signal: NodeJS.Signals): Scenario["act"] =>
  Effect.fnUntraced(function* (stage) {
    const { forSeconds, seed, times = 1 } = stage.play
    const roll = dice(seed)
    const life = (2 * forSeconds) / times
    yield* stage.faults({ missedSeconds: 3600 })
    let ws = yield* stage.startWs()
    yield* stage.recording()
    yield* newMarkets(stage)
    for (let at = 0; at < times; at++) {
      // Before it runs, a program has no way to hear that it is to stop.
      if (signal === "SIGTERM")
        yield* stage.until(
          "ws runs",
          Effect.map(ws.metric("shard_slots_held"), (value) => value !== undefined)
        )
      yield* Effect.sleep(`${Math.round(roll() * life * 1000)} millis`)
      const code = yield* ws.end(signal)
      if (signal === "SIGTERM" && code !== 0)
        return yield* Effect.die(new Error(`ws ended with ${code} on ${signal}\n${ws.stderr()}`))
      yield* Effect.sleep(`${Math.round(roll() * 1000)} millis`)
      ws = yield* stage.startWs()
    }
    yield* stage.recording(10)
    return { signals: times }
  })

export const killWs: Scenario = {
  name: "kill-ws",
  about: "ws is killed (SIGKILL) at seeded moments, eight times, and started again",
  usual: { seed: 1, rate: 5_000, forSeconds: 40, times: 8 },
  short: { seed: 1, rate: 400, forSeconds: 4, times: 3 },
  act: ended("SIGKILL")
}

export const termWs: Scenario = {
  name: "term-ws",
  about: "ws is told to stop (SIGTERM) at seeded moments and started again",
  usual: { seed: 1, rate: 5_000, forSeconds: 30, times: 4 },
  short: { seed: 1, rate: 400, forSeconds: 2, times: 2 },
  act: ended("SIGTERM")
}
