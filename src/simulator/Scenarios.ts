import type { PartialFaults } from "./Faults.ts"

const frames = (rate: number) => ({
  ticker: { rate },
  trade: { rate },
  orderbook_delta: { rate },
  market_lifecycle_v2: { rate }
})

/** Faults that belong together, by the name of the trial they are made for. */
export const scenarios = {
  "exchange-drops": {
    disconnect: { everySeconds: 15, jitter: 0.5, kinds: ["1000", "1001", "1011", "cut", "half-open"] },
    missedSeconds: 60
  },
  "sequence-gaps": { drop: frames(0.002) },
  "duplicate-frames": { duplicate: frames(0.02) },
  "poison-frames": { poison: { ticker: { rate: 0.002 }, market_lifecycle_v2: { rate: 0.05 } } },
  "silent-feed": { silent: { everySeconds: 90, forSeconds: 45, jitter: 0.2 } },
  "clock-jump": { clock: { jumpMs: -90_000, everySeconds: 60, forSeconds: 20, jitter: 0.3 } },
  "lost-acks": { commands: { refuse: { rate: 0.1 }, loseAck: { rate: 0.2 }, ackDelayMs: 500 } },
  "flaky-rest": {
    rest: [
      { kind: "delay", rate: 0.05, delayMs: 3000 },
      { kind: "status", rate: 0.03, status: 503 },
      { kind: "status", path: "/events*", rate: 0.03, status: 500 },
      { kind: "too-many", rate: 0.05 },
      { kind: "malformed", rate: 0.05, following: true },
      { kind: "repeated-cursor", rate: 0.05 },
      { kind: "truncated", rate: 0.02 }
    ],
    storm: { everySeconds: 60, forSeconds: 5, jitter: 0.5 },
    hiddenAfterCreatedMs: 5000
  },
  maintenance: { maintenance: { everySeconds: 60, forSeconds: 20, thursday: true }, missedSeconds: 60 }
} as const satisfies Readonly<Record<string, PartialFaults>>

export type Scenario = keyof typeof scenarios
export const scenarioNames = Object.keys(scenarios) as ReadonlyArray<string> as ReadonlyArray<Scenario>
