import type { Curve, ForecastScoresPage, Standing } from "../ForecastApi.ts"
import { CalibrationChart } from "./CalibrationChart.tsx"
import { count, nothing } from "./format.ts"
import { Shell } from "./Shell.tsx"
import { Empty, Section, Shown } from "./states.tsx"
import { Table } from "./Table.tsx"
import { useAsk } from "./useAsk.ts"
import { useRecording } from "./useRecording.ts"

const score = (value: number | null) => (value === null ? nothing : value.toFixed(4))
const skill = (value: number | null) =>
  value === null
    ? nothing
    : Math.abs(value) < 0.0005
      ? "0.0%"
      : `${value < 0 ? "−" : "+"}${Math.abs(value * 100).toFixed(1)}%`
const nameOf = ({ handler, model }: { readonly handler: string; readonly model: string | null }) =>
  model === null ? handler : `${handler} · ${model}`

const Leaderboard = ({ standings }: { readonly standings: ReadonlyArray<Standing> }) => (
  <Table
    rows={standings}
    keyOf={(standing) => `${nameOf(standing)} ${standing.horizon}`}
    columns={[
      {
        name: "Handler",
        heads: "title",
        cell: (standing) =>
          nameOf(standing)
            .split(/(?<=:)/)
            .map((part) => [part, <wbr key={part} />])
      },
      { name: "Before the close", words: true, cell: ({ horizon }) => horizon },
      { name: "Scored", show: "mid", cell: ({ scored }) => count(scored) },
      { name: "Brier", cell: ({ brier }) => score(brier) },
      { name: "Log loss", show: "mid", cell: ({ logLoss }) => score(logLoss) },
      { name: "Compared", show: "wide", cell: ({ compared }) => count(compared) },
      { name: "Brier, compared", show: "mid", cell: ({ comparedBrier }) => score(comparedBrier) },
      { name: "Market’s Brier", show: "mid", cell: ({ marketBrier }) => score(marketBrier) },
      {
        name: "Skill",
        tone: ({ brierSkill }) => ((brierSkill ?? 0) < 0 ? "no-ink" : "yes-ink"),
        cell: ({ brierSkill }) => skill(brierSkill)
      }
    ]}
  />
)

interface Pair {
  readonly name: string
  readonly horizon: string
  readonly handler: Curve | undefined
  readonly market: Curve | undefined
}

/** In the order of the leaderboard. */
const pairsOf = ({ calibration: curves, leaderboard }: ForecastScoresPage): ReadonlyArray<Pair> => {
  const pairs = new Map<string, Pair>()
  for (const curve of curves) {
    const key = `${nameOf(curve)} ${curve.horizon}`
    const there = pairs.get(key) ?? {
      name: nameOf(curve),
      horizon: curve.horizon,
      handler: undefined,
      market: undefined
    }
    pairs.set(key, { ...there, [curve.of]: curve })
  }
  return leaderboard.flatMap((standing) => {
    const pair = pairs.get(`${nameOf(standing)} ${standing.horizon}`)
    return pair === undefined ? [] : [pair]
  })
}

const Calibrations = ({ page }: { readonly page: ForecastScoresPage }) => (
  <div class="calibrations">
    {pairsOf(page).map(({ handler, horizon, market, name }) => (
      <figure key={`${name} ${horizon}`}>
        <figcaption>
          <strong>{name}</strong> <span class="quiet">{horizon}</span>
        </figcaption>
        <CalibrationChart handler={handler} market={market} />
        <p class="facts">
          {handler === undefined
            ? nothing
            : `${count(handler.scored)} forecasts, ${(handler.expectedError * 100).toFixed(1)}% off on average`}
          {market === undefined ? "" : `; the market ${(market.expectedError * 100).toFixed(1)}%`}
        </p>
        {handler !== undefined && (
          <details>
            <summary>Values</summary>
            <table>
              <thead>
                <tr>
                  <th scope="col">Said</th>
                  <th scope="col">Came</th>
                  <th scope="col">Forecasts</th>
                </tr>
              </thead>
              <tbody>
                {handler.curve.map((point) => (
                  <tr key={point.from}>
                    <td>{(point.forecast * 100).toFixed(1)}%</td>
                    <td>{(point.observed * 100).toFixed(1)}%</td>
                    <td>{count(point.scored)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        )}
      </figure>
    ))}
  </div>
)

export const ForecastsPage = () => {
  const asked = useAsk("forecasts", (client) => client.forecasts.scores({ query: {} }), 10)
  const link = useRecording(asked.reload)
  return (
    <Shell title="Forecasts" link={link}>
      <div class="title">
        <h1>Forecasts</h1>
        <p class="quiet prose">
          Forecasts of markets that have settled. The Brier score is the squared distance between the probability and
          what came: 0 is perfect. Skill compares it with the market’s own price at the same instant: 0 is as good as
          the market.
        </p>
      </div>
      <Shown asked={asked}>
        {(page) =>
          page.leaderboard.length === 0 ? (
            <Empty>
              No forecast is scored yet: its market must settle first. PREDICTION_ENABLE=1 turns forecasts on.
            </Empty>
          ) : (
            <>
              <Section id="leaderboard" title="Leaderboard">
                <Leaderboard standings={page.leaderboard} />
              </Section>
              <Section
                id="calibration"
                title="Calibration"
                note="how often yes came, over how likely it was said to be; dashed: the market"
              >
                <Calibrations page={page} />
              </Section>
            </>
          )
        }
      </Shown>
    </Shell>
  )
}
