import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import { type CoverageState, coverageStates } from "../../market/Coverage.ts"
import type { CoverageCell, CoverageDay } from "../SystemApi.ts"
import { useNow } from "./exchange.ts"
import { count, span } from "./format.ts"
import { Link, marketHref, replaceQuery } from "./router.tsx"
import { Shell } from "./Shell.tsx"
import { Empty, Section, Shown } from "./states.tsx"
import { useAsk } from "./useAsk.ts"
import { useRecording } from "./useRecording.ts"

const daysShown = 14
const hours = Array.from({ length: 24 }, (_, hour) => hour)

const names: Readonly<Record<CoverageState, string>> = {
  live: "live",
  repaired: "live, holes healed from candles",
  candles_only: "candles only",
  checked_empty: "nothing happened",
  degraded: "partly missing",
  absent: "missing",
  not_yet_due: "not due yet"
}
const good: ReadonlySet<CoverageState> = new Set(["live", "repaired", "candles_only", "checked_empty"])

const dayBefore = (day: string, days: number) =>
  new Date(Date.parse(day) - days * 86_400_000).toISOString().slice(0, 10)

const Legend = () => (
  <ul class="legend">
    {coverageStates.map((state) => (
      <li key={state}>
        <i class={`cell ${state}`} /> {names[state]}
      </li>
    ))}
  </ul>
)

interface DaySum {
  readonly hours: number
  readonly covered: number
  readonly markets: number
  readonly states: ReadonlyArray<CoverageDay>
}

const bySeries = (rows: ReadonlyArray<CoverageDay>) => {
  const series = new Map<string, Map<string, DaySum>>()
  for (const row of rows) {
    const days = series.get(row.seriesTicker) ?? new Map<string, DaySum>()
    const before = days.get(row.day) ?? { hours: 0, covered: 0, markets: 0, states: [] }
    days.set(row.day, {
      hours: before.hours + row.hours,
      covered: before.covered + (good.has(row.state) ? row.hours : 0),
      markets: Math.max(before.markets, row.markets),
      states: [...before.states, row]
    })
    series.set(row.seriesTicker, days)
  }
  return series
}

/** Five steps of one colour, and another for what is missing: told apart without colour by the figure in them. */
const step = (share: number) => (share >= 0.999 ? 5 : share >= 0.98 ? 4 : share >= 0.9 ? 3 : share >= 0.5 ? 2 : 1)

const Days = (props: {
  readonly rows: ReadonlyArray<CoverageDay>
  readonly days: ReadonlyArray<string>
  readonly chosen: Chosen
  readonly onChoose: (chosen: Chosen) => void
}) => {
  const series = useMemo(() => bySeries(props.rows), [props.rows])
  const frame = useRef<HTMLDivElement>(null)
  // The newest days are at the right end, which a narrow page does not show by itself.
  useEffect(() => frame.current?.scrollTo({ left: frame.current.scrollWidth }), [series])
  if (series.size === 0)
    return <Empty>No hour of any market is over yet. The first appears a little after it ends.</Empty>
  return (
    <div class="scroll" ref={frame}>
      <table class="heat">
        <thead>
          <tr>
            <th scope="col" class="text">
              Series
            </th>
            {props.days.map((day) => (
              <th key={day} scope="col">
                {day.slice(5)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {[...series].map(([ticker, days]) => (
            <tr key={ticker}>
              <th scope="row" class="text">
                {ticker === "" ? "no series" : ticker}
              </th>
              {props.days.map((day) => {
                const sum = days.get(day)
                if (sum === undefined || sum.hours === 0) return <td key={day} class="none" />
                const share = sum.covered / sum.hours
                const text = `${Math.floor(share * 1000) / 10}`
                const isChosen = props.chosen.series === ticker && props.chosen.day === day
                return (
                  <td key={day}>
                    <button
                      type="button"
                      class={`heat-cell step-${step(share)}`}
                      aria-pressed={isChosen}
                      title={sum.states.map(({ hours, state }) => `${names[state]}: ${count(hours)} h`).join("\n")}
                      aria-label={`${ticker}, ${day}: ${text} % of ${count(sum.hours)} market-hours covered`}
                      onClick={() => props.onChoose({ series: ticker, day })}
                    >
                      {text}
                    </button>
                  </td>
                )
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const Hours = ({ cells }: { readonly cells: ReadonlyArray<CoverageCell> }) => {
  const markets = useMemo(() => {
    const rows = new Map<string, Map<number, CoverageCell>>()
    for (const cell of cells) {
      const row = rows.get(cell.ticker) ?? new Map<number, CoverageCell>()
      row.set(cell.hour, cell)
      rows.set(cell.ticker, row)
    }
    return [...rows]
  }, [cells])
  if (markets.length === 0) return <Empty>No market of this series was open on this day.</Empty>
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="scroll tall" tabIndex={0} aria-label="Markets by hour">
      <table class="heat hours">
        <thead>
          <tr>
            <th scope="col" class="text">
              Market
            </th>
            {hours.map((hour) => (
              <th key={hour} scope="col">
                {String(hour).padStart(2, "0")}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {markets.map(([ticker, row]) => (
            <tr key={ticker}>
              <th scope="row" class="text">
                <Link href={marketHref(ticker)} title={ticker}>
                  {[...row.values()][0]!.name}
                </Link>
              </th>
              {hours.map((hour) => {
                const cell = row.get(hour)
                return cell === undefined ? (
                  <td key={hour} />
                ) : (
                  <td key={hour}>
                    <i
                      class={`cell ${cell.state}`}
                      role="img"
                      aria-label={names[cell.state]}
                      title={`${names[cell.state]}: ${span(cell.liveSeconds)} live of ${span(cell.openSeconds)} open`}
                    />
                  </td>
                )
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

interface Chosen {
  readonly series: string
  readonly day: string
}

export const CoveragePage = () => {
  const query = new URLSearchParams(location.search)
  const { exchange, seen } = useNow()
  const today = new Date(exchange).toISOString().slice(0, 10)
  const [chosen, setChosen] = useState<Chosen>({ series: query.get("series") ?? "", day: query.get("day") ?? "" })
  const [end, setEnd] = useState(query.get("until") ?? "")
  const until = end === "" ? today : end
  const days = Array.from({ length: daysShown }, (_, i) => dayBefore(until, daysShown - 1 - i))
  useEffect(() => {
    const next = new URLSearchParams()
    if (end !== "") next.set("until", end)
    if (chosen.day !== "") {
      next.set("series", chosen.series)
      next.set("day", chosen.day)
    }
    replaceQuery(next)
  }, [chosen, end])
  const known = seen !== undefined || end !== ""
  const overview = useAsk(
    `coverage ${until} ${known}`,
    (client) => client.system.coverageDays({ query: { from: days[0]!, to: until } }),
    30
  )
  const link = useRecording(overview.reload)
  return (
    <Shell title="Coverage" link={link}>
      <div class="title">
        <h1>Coverage</h1>
        <p class="quiet prose">
          Of every hour in which a market was open, how much is recorded: per cent of market-hours that are live,
          healed, known from candles, or known to be empty. Days and hours are UTC.
        </p>
      </div>
      <Section
        id="days"
        title="By series and day"
        note={
          <span class="stepper">
            <button type="button" class="plain" onClick={() => setEnd(dayBefore(until, daysShown))}>
              ← earlier
            </button>
            {end !== "" && (
              <button
                type="button"
                class="plain"
                onClick={() => setEnd(dayBefore(until, -daysShown) >= today ? "" : dayBefore(until, -daysShown))}
              >
                later →
              </button>
            )}
          </span>
        }
      >
        <Shown asked={overview}>
          {(rows) => <Days rows={rows} days={days} chosen={chosen} onChoose={setChosen} />}
        </Shown>
      </Section>
      {chosen.day !== "" && chosen.series !== "" && <OneDay chosen={chosen} />}
    </Shell>
  )
}

const OneDay = ({ chosen }: { readonly chosen: Chosen }) => {
  const cells = useAsk(
    `hours ${chosen.series} ${chosen.day}`,
    (client) => client.system.coverageHours({ query: { series: chosen.series, day: chosen.day } }),
    60
  )
  return (
    <Section id="hours" title={`${chosen.series}, ${chosen.day}`} note="market × hour">
      <Legend />
      <Shown asked={cells}>{(found) => <Hours cells={found} />}</Shown>
    </Section>
  )
}
