import { createChart, type IChartApi, LineSeries, type UTCTimestamp } from "lightweight-charts"
import { useEffect, useRef } from "preact/hooks"
import type { ForecastLine } from "../EventsApi.ts"
import { asPercent, chartColours, chartOptions, useScheme } from "./chartTheme.ts"

/** Chance of several outcomes over time, in the colours `--line-1` to `--line-8`. */
const ForecastChart = ({ lines, label }: { readonly lines: ReadonlyArray<ForecastLine>; readonly label: string }) => {
  const holder = useRef<HTMLDivElement>(null)
  const chart = useRef<IChartApi | undefined>(undefined)
  const isDark = useScheme()
  useEffect(() => {
    if (holder.current === null) return
    const colours = chartColours()
    const made = createChart(holder.current, chartOptions(colours, asPercent))
    for (const [index, line] of lines.entries()) {
      const series = made.addSeries(LineSeries, {
        color: colours.lines[index % colours.lines.length]!,
        lineWidth: 2,
        priceLineVisible: false,
        lastValueVisible: index < 4,
        autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 1 } })
      })
      series.setData(line.points.map(([seconds, value]) => ({ time: seconds as UTCTimestamp, value })))
    }
    made.priceScale("right").applyOptions({ scaleMargins: { top: 0.04, bottom: 0.04 } })
    made.timeScale().fitContent()
    chart.current = made
    return () => made.remove()
  }, [lines, isDark])
  return <div class="chart short" ref={holder} role="img" aria-label={label} />
}
export default ForecastChart
