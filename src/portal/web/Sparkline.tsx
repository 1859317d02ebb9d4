import type { ForecastLine } from "../EventsApi.ts"

const width = 96
const height = 24

/** The course of one outcome, 0 to 100 %, over the event's time. */
export const Sparkline = (props: {
  readonly line: ForecastLine | undefined
  readonly from: number
  readonly to: number
}) => {
  const { from, line, to } = props
  if (line === undefined || line.points.length < 2) return <span class="quiet">–</span>
  const path = line.points
    .map(([seconds, value], i) => {
      const x = ((seconds - from) / Math.max(1, to - from)) * width
      return `${i === 0 ? "M" : "L"}${Math.max(0, x).toFixed(1)} ${((1 - value) * (height - 4) + 2).toFixed(1)}`
    })
    .join("")
  return (
    <svg class="spark" viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <path d={path} />
    </svg>
  )
}
