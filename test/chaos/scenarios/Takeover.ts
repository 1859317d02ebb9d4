import * as Effect from "effect/Effect"
import type { Scenario } from "../Scenario.ts"
import { type Stage, timed, type Ws } from "../Stage.ts"
import { newMarkets } from "./Processes.ts"

const mostSeconds = 30

/** How many slots of markets a process holds by the leases, and of how many the feed goes to its journal. */
const holdings = (stage: Stage, journal: string) =>
  stage
    .query<{ held: number; fed: number }>(
      `select (select count(*) from shard_leases where journal = '${journal}')::int as held,
        (select count(*) from slot_feeds where journal = '${journal}')::int as fed`
    )
    .pipe(Effect.map((rows) => rows[0]!))

const journalOf = (stage: Stage, { pid }: Ws) =>
  stage
    .query<{ journal: string }>(`select journal from ws_members where pid = ${pid}`)
    .pipe(Effect.map((rows) => rows[0]?.journal ?? ""))

/** Each of the processes records some of the slots, nobody else does. */
const shared = (stage: Stage, processes: number) =>
  stage.until(
    `${processes} processes record a part each`,
    stage
      .query<{ journals: number; slots: number }>(
        `select count(distinct f.journal)::int as journals, count(*)::int as slots
        from slot_feeds f join shard_leases l using (slot, journal)`
      )
      .pipe(Effect.map((rows) => rows[0]?.journals === processes && rows[0].slots === 12)),
    90
  )

/** Waits until others record what the journal's process recorded; gives the seconds. */
const taken = Effect.fnUntraced(function* (stage: Stage, journal: string) {
  const { seconds } = yield* timed(
    stage.until(
      "the share of the dead process is recorded by others",
      Effect.map(holdings(stage, journal), ({ fed }) => fed === 0),
      mostSeconds
    )
  )
  return seconds
})

export const shardTakeover: Scenario = {
  name: "shard-takeover",
  about:
    "of three ws processes that share the markets one is killed, another one stopped (SIGSTOP) and woken when others have its share",
  usual: { seed: 1, rate: 3_000, forSeconds: 20 },
  short: { seed: 1, rate: 400, forSeconds: 2 },
  isShared: true,
  settings: ({ forSeconds }) => (forSeconds < 10 ? { WS_LEASE_SECONDS: "3" } : {}),
  act: Effect.fnUntraced(function* (stage) {
    const pause = Effect.sleep(`${stage.play.forSeconds / 4} seconds`)
    yield* stage.faults({ missedSeconds: 3600 })
    const first = yield* stage.startWs()
    yield* stage.recording()
    yield* newMarkets(stage)
    const second = yield* stage.startWs()
    yield* stage.startWs()
    yield* shared(stage, 3)
    yield* pause

    const killed = yield* journalOf(stage, second)
    yield* second.end("SIGKILL")
    const afterKill = yield* taken(stage, killed)
    yield* pause
    // It finds the journal of the killed one and stores the rest of it.
    yield* stage.startWs()
    yield* shared(stage, 3)
    yield* pause

    const stopped = yield* journalOf(stage, first)
    yield* first.signal("SIGSTOP")
    const afterStop = yield* taken(stage, stopped)
    yield* pause
    yield* first.signal("SIGCONT")
    yield* shared(stage, 3)
    yield* stage.recording(50)
    const [holes] = yield* stage.query<{ n: number }>(
      "select count(*)::int as n from capture_gaps where cause = 'process_down' and to_ts is not null"
    )
    if ((holes?.n ?? 0) === 0) return yield* Effect.die(new Error("no hole of a dead process is in the ledger"))
    return { takeoverSeconds: afterKill, takeoverOfStoppedSeconds: afterStop, holes: holes?.n }
  })
}
