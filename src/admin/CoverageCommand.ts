import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { coverageMoment } from "../ingest/CoverageMoment.ts"
import { type CoverageHour, holes } from "../market/Coverage.ts"
import { fromMillis } from "../market/Timestamp.ts"
import { presenter } from "../runtime/CommandLine.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { ExitCode } from "../runtime/ExitCode.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { version } from "../runtime/Version.ts"
import { Coverage } from "../store/Coverage.ts"
import { Database } from "../store/Database.ts"
import { Migrations } from "../store/Migrations.ts"
import { SchemaCheck } from "../store/SchemaCheck.ts"
import { hasHoles, type RowKind, render, rowsOf, totalsOf } from "./CoverageGrid.ts"

const dayMillis = 86_400_000
const holesRemain = 2

const flags = {
  series: Flag.String("series").pipe(Flag.withDescription("a series, e.g. KXBTCD"), Flag.optional),
  event: Flag.String("event").pipe(Flag.withDescription("one event"), Flag.optional),
  market: Flag.String("market").pipe(Flag.withDescription("one market"), Flag.optional),
  day: Flag.String("day").pipe(Flag.withDescription("a day in UTC, e.g. 2026-11-21; today when absent"), Flag.optional),
  by: Flag.Literals("by", ["series", "events", "markets"]).pipe(
    Flag.withDescription("what the lines are; markets of an event, events of a series, series otherwise"),
    Flag.optional
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("one JSON object instead of a grid"), Flag.withDefault(false))
}

const parseDay = (text: string): number | undefined => {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  return !Number.isNaN(at) && fromMillis(at).startsWith(text) ? at : undefined
}

const shown = (text: string) => `"${text.length > 60 ? `${text.slice(0, 60)}…` : text}"`

/** Tickers are upper case; nobody should have to type them so. */
const ticker = (text: Option.Option<string>) =>
  Option.getOrUndefined(Option.map(text, (given) => given.trim().toUpperCase()))

const known = Effect.fnUntraced(function* (kind: "series" | "event" | "market", name: string | undefined) {
  if (name === undefined || (yield* Coverage.use((coverage) => coverage.isKnown(kind, name)))) return
  return yield* new SettingError({
    setting: `--${kind}`,
    problem: name === "" ? "it is empty" : `the catalog knows no ${kind} ${shown(name)}`,
    fix:
      kind === "series"
        ? "write a ticker like KXBTCD"
        : `write the full ticker of ${kind === "event" ? "an event" : "a market"}`
  })
})

/** Colour only where somebody looks, who has not asked for none. */
const isColoured = () => process.stdout.isTTY === true && process.stdout.hasColors()

const nameOf = (kind: RowKind, seriesOf: ReadonlyMap<string, string>) => (hour: CoverageHour) =>
  kind === "markets"
    ? hour.ticker
    : kind === "events"
      ? (hour.eventTicker ?? hour.ticker)
      : (seriesOf.get(hour.ticker) ?? "(no series)")

const command = Command.make(
  "coverage",
  flags,
  Effect.fnUntraced(function* (input) {
    const series = ticker(input.series)
    const event = ticker(input.event)
    const market = ticker(input.market)
    const moment = yield* coverageMoment
    const day = Option.match(input.day, {
      onNone: () => Math.floor(moment.nowMillis / dayMillis) * dayMillis,
      onSome: parseDay
    })
    if (day === undefined)
      return yield* new SettingError({
        setting: "--day",
        problem: `${shown(Option.getOrElse(input.day, () => ""))} is not a day`,
        fix: "write it like --day 2026-11-21"
      })
    yield* known("series", series)
    yield* known("event", event)
    yield* known("market", market)
    const hours = yield* Coverage.use((coverage) =>
      coverage.hours({
        ...moment,
        seriesTicker: series,
        eventTicker: event,
        marketTicker: market,
        fromMillis: day,
        toMillis: day + dayMillis
      })
    )
    const usual: RowKind =
      event !== undefined || market !== undefined ? "markets" : series !== undefined ? "events" : "series"
    const by = Option.getOrElse(input.by, () => usual)
    const seriesOf = new Map(
      hours.flatMap((hour) => (hour.seriesTicker === undefined ? [] : [[hour.ticker, hour.seriesTicker]]))
    )
    const rows = rowsOf(hours, day, nameOf(by, seriesOf))
    const totals = totalsOf(hours)
    const date = fromMillis(day).slice(0, 10)
    if (input.json)
      yield* Console.log(
        JSON.stringify({
          day: date,
          series,
          event,
          market,
          by,
          ...totals,
          shareCovered: totals.due === 0 ? null : totals.covered / totals.due,
          rows: rows.map(({ markets, name, states }) => ({
            name,
            markets,
            states: states.map((state) => state ?? null)
          })),
          holes: hours
            .filter(({ state }) => holes.has(state))
            .map((hour) => ({
              market: hour.ticker,
              hour: fromMillis(hour.hourMillis),
              state: hour.state,
              openSeconds: hour.openMillis / 1000,
              liveSeconds: hour.liveMillis / 1000,
              repairedSeconds: hour.healedMillis / 1000,
              candles: hour.candles
            }))
        })
      )
    else {
      const about = [market ?? event ?? series ?? "everything", `on ${date} (hours in UTC), by ${by}`].join(" ")
      for (const line of render(`coverage of ${about}`, rows, totals, isColoured())) yield* Console.log(line)
    }
    if (hasHoles(totals)) return yield* new ExitCode({ code: holesRemain })
  })
)

const layerDatabase = Coverage.layer.pipe(
  Layer.provide(SchemaCheck.pipe(Layer.provide(Migrations.layer))),
  Layer.provide(Database.layerUrl({ applicationName: "kalshi-ingestor coverage" })),
  Layer.provideMerge(ExchangeTime.layer)
)

/**
 * `node dist/coverage.js`: a grid of hours, computed from the rows as they are. Exit code 0 when what is due is covered, 2 when holes
 * remain, 1 for a mistake or a fault.
 */
export const coverageCommand = Command.run(command.pipe(Command.provide(layerDatabase)), { version }).pipe(
  Effect.provide(presenter("coverage"))
)
