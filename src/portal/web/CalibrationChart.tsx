import type { Curve } from "../ForecastApi.ts"

const size = 240
const margin = 34
const place = (share: number) => margin + share * (size - 2 * margin)

const pathOf = ({ curve }: Curve) =>
  curve
    .map(
      ({ forecast, observed }, i) =>
        `${i === 0 ? "M" : "L"}${place(forecast).toFixed(1)} ${place(1 - observed).toFixed(1)}`
    )
    .join("")

const percent = (share: number) => `${(share * 100).toFixed(0)}%`

/** How often YES came, over how likely it was said to be: on the diagonal for who says what is true. */
export const CalibrationChart = (props: {
  readonly handler: Curve | undefined
  readonly market: Curve | undefined
}) => (
  <svg
    class="calibration"
    viewBox={`0 ${margin - 12} ${size} ${size - margin}`}
    role="img"
    aria-label="Calibration curve; its values are in the table"
  >
    <path class="frame" d={`M${margin} ${margin}V${size - margin}H${size - margin}`} />
    <path class="ideal" d={`M${place(0)} ${place(1)}L${place(1)} ${place(0)}`} />
    {props.market !== undefined && <path class="market" d={pathOf(props.market)} />}
    {props.handler !== undefined && <path class="handler" d={pathOf(props.handler)} />}
    {props.handler?.curve.map((point) => (
      <circle
        key={point.from}
        cx={place(point.forecast)}
        cy={place(1 - point.observed)}
        r={Math.min(7, 2 + Math.log10(point.scored) * 1.4)}
      >
        <title>{`said ${percent(point.forecast)}, came ${percent(point.observed)} of ${point.scored}`}</title>
      </circle>
    ))}
    {[0, 0.5, 1].map((share) => (
      <g key={share}>
        <text x={place(share)} y={size - margin + 14} text-anchor="middle">
          {percent(share)}
        </text>
        <text x={margin - 5} y={place(1 - share) + 4} text-anchor="end">
          {percent(share)}
        </text>
      </g>
    ))}
  </svg>
)
