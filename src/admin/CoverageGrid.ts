import { type CoverageHour, type CoverageState, coverageStates, holes } from "../market/Coverage.ts"

const hourMillis = 3_600_000

export type RowKind = "series" | "events" | "markets"

/** One line of the grid: the state in each hour of the day, absent where no market of the line was open. */
export interface GridRow {
  readonly name: string
  readonly markets: number
  readonly states: ReadonlyArray<CoverageState | undefined>
}

export interface GridTotals {
  /** Market-hours by state. */
  readonly states: Readonly<Record<CoverageState, number>>
  /** Market-hours that are over. */
  readonly due: number
  readonly covered: number
}

const glyphs: Readonly<Record<CoverageState, string>> = {
  live: "#",
  repaired: "+",
  candles_only: "c",
  checked_empty: "o",
  not_yet_due: ".",
  degraded: "!",
  absent: "X"
}
const meanings: Readonly<Record<CoverageState, string>> = {
  live: "live",
  repaired: "repaired",
  candles_only: "candles only",
  checked_empty: "checked, empty",
  not_yet_due: "not yet due",
  degraded: "degraded",
  absent: "absent"
}
const colours: Readonly<Record<CoverageState, number>> = {
  live: 32,
  repaired: 36,
  candles_only: 34,
  checked_empty: 90,
  not_yet_due: 90,
  degraded: 33,
  absent: 31
}

/** Of several markets the one that is worst off speaks for the line. */
const worstFirst: ReadonlyArray<CoverageState> = [
  "absent",
  "degraded",
  "candles_only",
  "repaired",
  "checked_empty",
  "live",
  "not_yet_due"
]
const worst = (a: CoverageState | undefined, b: CoverageState): CoverageState =>
  a === undefined || worstFirst.indexOf(b) < worstFirst.indexOf(a) ? b : a

/** The lines of a day that starts at `dayMillis`, by name. */
export const rowsOf = (
  hours: ReadonlyArray<CoverageHour>,
  dayMillis: number,
  nameOf: (hour: CoverageHour) => string
): ReadonlyArray<GridRow> => {
  const rows = new Map<string, { readonly tickers: Set<string>; readonly states: Array<CoverageState | undefined> }>()
  for (const hour of hours) {
    const name = nameOf(hour)
    const row = rows.get(name) ?? { tickers: new Set<string>(), states: Array(24).fill(undefined) }
    rows.set(name, row)
    row.tickers.add(hour.ticker)
    const at = (hour.hourMillis - dayMillis) / hourMillis
    row.states[at] = worst(row.states[at], hour.state)
  }
  return [...rows]
    .map(([name, { states, tickers }]) => ({ name, states, markets: tickers.size }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

export const totalsOf = (hours: ReadonlyArray<CoverageHour>): GridTotals => {
  const states = Object.fromEntries(coverageStates.map((state) => [state, 0])) as Record<CoverageState, number>
  for (const { state } of hours) states[state] += 1
  const due = hours.length - states.not_yet_due
  return { states, due, covered: due - states.degraded - states.absent }
}

export const hasHoles = ({ states }: GridTotals): boolean => [...holes].some((state) => states[state] > 0)

const paint = (state: CoverageState, text: string, isColoured: boolean) =>
  isColoured ? `\u001b[${colours[state]}m${text}\u001b[0m` : text

/** The share of what is due that is covered, never rounded up to everything. */
const percent = ({ covered, due }: GridTotals) =>
  due === 0 ? "nothing is due" : `covered ${(Math.floor((covered / due) * 1000) / 10).toFixed(1)} %`

/** Lines of text: a head of hours, a line for each row, a legend, a sum. */
export const render = (
  title: string,
  rows: ReadonlyArray<GridRow>,
  totals: GridTotals,
  isColoured: boolean
): ReadonlyArray<string> => {
  const width = rows.reduce((most, { name }) => Math.max(most, name.length), 0)
  const margin = " ".repeat(width + 2)
  const lines = rows.map(({ name, states }) =>
    `${name.padEnd(width)}  ${states.map((state) => (state === undefined ? " " : paint(state, glyphs[state], isColoured))).join("")}`.trimEnd()
  )
  const legend = coverageStates.map((state) => `${paint(state, glyphs[state], isColoured)} ${meanings[state]}`)
  const counts = coverageStates
    .filter((state) => totals.states[state] > 0)
    .map((state) => `${totals.states[state]} ${meanings[state]}`)
  return [
    title,
    ...(rows.length === 0
      ? []
      : [
          `${margin}0         1         2`,
          `${margin}012345678901234567890123`,
          ...lines,
          "",
          `${legend.join("   ")}   (blank: not open)`
        ]),
    rows.length === 0
      ? "no market is known that was open then"
      : `market-hours: ${counts.join(", ")}; ${percent(totals)}`
  ]
}
