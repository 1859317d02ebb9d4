import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { combine, unit } from "../../src/simulator/Random.ts"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import * as Programs from "../support/Programs.ts"
import { collect } from "./Evidence.ts"
import * as Stage from "./Stage.ts"
import { isClean, judge, type Verdict } from "./Verdict.ts"

export type Facts = Readonly<Record<string, unknown>>

export interface Scenario {
  readonly name: string
  /** What goes wrong. */
  readonly about: string
  readonly usual: Stage.Play
  /** As the suite plays it. */
  readonly short: Stage.Play
  readonly settings?: (play: Stage.Play) => Readonly<Record<string, string>>
  readonly exchangeArgs?: ReadonlyArray<string>
  /** Several processes hear the same frames for a while. */
  readonly isShared?: boolean
  /** Stops and starts PostgreSQL, which nobody else may use then. */
  readonly ownsServer?: boolean
  /** Makes another place for the journals, for as long as the scope lives. */
  readonly journals?: (home: string) => Effect.Effect<string, never, Scope.Scope>
  /** Starts ws and makes the trouble. Dies when the recorder does not do what it must. Gives facts for the report. */
  readonly act: (stage: Stage.Stage) => Effect.Effect<Facts, never, Scope.Scope>
}

export interface Outcome extends Verdict {
  readonly scenario: string
  readonly seed: number
  readonly rate: number
  readonly seconds: number
  readonly ok: boolean
  readonly facts: Facts
}

/** Numbers from 0 to 1, the same for the same seed. */
export const dice = (seed: number): (() => number) => {
  let rolls = 0
  return () => unit(combine(seed, ++rolls))
}

/** A PostgreSQL of its own below `home`, migrated, that can be stopped and started. */
export const ownDatabase = Effect.fnUntraced(function* (home: string, settings: Readonly<Record<string, string>> = {}) {
  const layer = EmbeddedPostgres.layer({ dataDir: home, settings })
  const boot = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(Layer.fresh(layer), scope)
    return { scope, server: yield* EmbeddedPostgres.pipe(Effect.provideContext(context)) }
  }).pipe(Effect.orDie)
  let now = yield* boot
  yield* Effect.addFinalizer(() => Scope.close(now.scope, Exit.void))
  const { url } = now.server
  const stop = Effect.suspend(() => Scope.close(now.scope, Exit.void))
  const { code, stderr } = yield* Programs.run("migrator", { DATABASE_URL: Redacted.value(url), DATA_DIR: home })
  if (code !== 0) return yield* Effect.die(new Error(`the migrator ended with ${code}\n${stderr}`))
  const database: Stage.Database = {
    url,
    env: yield* Programs.logins(url, { DATA_DIR: home }),
    control: {
      stop,
      kill: Effect.suspend(() => {
        process.kill(now.server.pid, "SIGKILL")
        return Effect.andThen(now.server.ended, stop)
      }),
      start: Effect.gen(function* () {
        now = yield* boot
        if (Redacted.value(now.server.url) !== Redacted.value(url))
          return yield* Effect.die(new Error("the server came back on another port"))
      })
    }
  }
  return database
})

/** Plays a scenario to its end and compares what was sent with what is stored. */
export const perform = Effect.fnUntraced(function* (
  scenario: Scenario,
  play: Stage.Play,
  home: string,
  database: Stage.Database
) {
  const journals = scenario.journals === undefined ? undefined : yield* scenario.journals(home)
  const { seconds, value } = yield* Stage.timed(
    Effect.gen(function* () {
      const stage = yield* Stage.make(home, {
        play,
        database,
        ...(scenario.exchangeArgs === undefined ? {} : { exchangeArgs: scenario.exchangeArgs }),
        ...(scenario.settings === undefined ? {} : { settings: scenario.settings(play) }),
        ...(journals === undefined ? {} : { journals })
      })
      const facts = yield* scenario.act(stage)
      yield* stage.settle
      const evidence = yield* collect(stage.exchange, database.url, stage.journals, scenario.isShared === true)
      const causes = yield* stage.query<{ cause: string; n: number }>(
        "select cause, count(*)::int as n from capture_gaps group by 1 order by 1"
      )
      return {
        facts: { causes: Object.fromEntries(causes.map(({ cause, n }) => [cause, n])), ...facts },
        verdict: judge(evidence)
      }
    })
  )
  const { facts, verdict } = value
  const outcome: Outcome = {
    ...verdict,
    scenario: scenario.name,
    seed: play.seed,
    rate: play.rate,
    seconds: Math.round(seconds),
    ok: isClean(verdict) && verdict.stored > 0,
    facts
  }
  return outcome
}, Effect.scoped)
