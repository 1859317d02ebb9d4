import {
  CandlestickSeries,
  createChart,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  LineSeries,
  type UTCTimestamp
} from "lightweight-charts"
import { useEffect, useRef, useState } from "preact/hooks"
import type { ChartCandle, Gap } from "../MarketApi.ts"
import { asCents, bothTimes, chartColours, chartOptions, useScheme } from "./chartTheme.ts"
import { amount, cents } from "./format.ts"
import { GapShading } from "./gapShading.ts"

const barsAtMost = 6_000

export interface PriceChartProps {
  readonly candles: ReadonlyArray<ChartCandle>
  readonly gaps: ReadonlyArray<Gap>
  readonly minutes: number
  readonly label: string
}

interface Parts {
  readonly chart: IChartApi
  readonly price: ISeriesApi<"Candlestick">
  readonly bid: ISeriesApi<"Line">
  readonly ask: ISeriesApi<"Line">
  readonly volume: ISeriesApi<"Histogram">
  readonly shading: GapShading
}

/** Every period between the first and the last candle, so that time runs evenly and what is missing has its width. */
const evenly = (candles: ReadonlyArray<ChartCandle>, step: number) => {
  const [first] = candles
  const last = candles.at(-1)
  if (first === undefined || last === undefined) return []
  const byEnd = new Map(candles.map((candle) => [candle.seconds, candle]))
  const from = Math.max(first.seconds, last.seconds - barsAtMost * step)
  return Array.from({ length: Math.floor((last.seconds - from) / step) + 1 }, (_, i) => {
    const end = from + i * step
    return { time: (end - step) as UTCTimestamp, candle: byEnd.get(end) }
  })
}

const Reading = ({ candle }: { readonly candle: ChartCandle | undefined }) => (
  <p class="reading" aria-live="off">
    {candle === undefined ? (
      " "
    ) : (
      <>
        <span>{bothTimes(candle.seconds)}</span>
        <span>O {cents(candle.open)}</span>
        <span>H {cents(candle.high)}</span>
        <span>L {cents(candle.low)}</span>
        <span>C {cents(candle.close)}</span>
        <span class="yes-ink">bid {cents(candle.yesBid)}</span>
        <span class="no-ink">ask {cents(candle.yesAsk)}</span>
        <span>vol {amount(candle.volume)}</span>
      </>
    )}
  </p>
)

/** Candles with volume, bid and ask, and the gaps of the record. */
const PriceChart = (props: PriceChartProps) => {
  const holder = useRef<HTMLDivElement>(null)
  const parts = useRef<Parts | undefined>(undefined)
  const shown = useRef<{ readonly key: string; readonly bars: number }>({ key: "", bars: 0 })
  const candlesNow = useRef(props.candles)
  candlesNow.current = props.candles
  const [pointed, setPointed] = useState<ChartCandle>()
  const isDark = useScheme()
  const step = props.minutes * 60

  useEffect(() => {
    if (holder.current === null) return
    const colours = chartColours()
    const chart = createChart(holder.current, chartOptions(colours, asCents))
    const line = {
      lineWidth: 1,
      priceLineVisible: false,
      lastValueVisible: false,
      crosshairMarkerVisible: false
    } as const
    const volume = chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      color: colours.line,
      priceFormat: { type: "volume" },
      priceLineVisible: false,
      lastValueVisible: false
    })
    chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } })
    const bid = chart.addSeries(LineSeries, { ...line, color: colours.yes })
    const ask = chart.addSeries(LineSeries, { ...line, color: colours.no })
    const price = chart.addSeries(CandlestickSeries, {
      upColor: colours.ground,
      downColor: colours.ink,
      borderUpColor: colours.ink,
      borderDownColor: colours.ink,
      wickUpColor: colours.soft,
      wickDownColor: colours.soft,
      priceLineVisible: false
    })
    price.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.24 } })
    const shading = new GapShading(colours.gap, (seconds) => {
      const [first] = candlesNow.current
      const last = candlesNow.current.at(-1)
      if (first === undefined || last === undefined) return seconds
      const bar = Math.floor((seconds - first.seconds + step) / step) * step + first.seconds - step
      return Math.min(Math.max(bar, first.seconds - step), last.seconds - step)
    })
    price.attachPrimitive(shading)
    chart.subscribeCrosshairMove(({ time }) =>
      setPointed(
        time === undefined ? undefined : candlesNow.current.find(({ seconds }) => seconds - step === Number(time))
      )
    )
    parts.current = { chart, price, bid, ask, volume, shading }
    shown.current = { key: "", bars: 0 }
    return () => {
      parts.current = undefined
      chart.remove()
    }
  }, [isDark, step])

  useEffect(() => {
    const now = parts.current
    if (now === undefined) return
    const bars = evenly(props.candles, step)
    now.price.setData(
      bars.map(({ candle, time }) =>
        candle === undefined || candle.open === null
          ? { time }
          : {
              time,
              open: Number(candle.open),
              high: Number(candle.high),
              low: Number(candle.low),
              close: Number(candle.close)
            }
      )
    )
    // An empty side has no price, and no line leads over what is missing.
    const side = (which: "yesBid" | "yesAsk") => {
      const value = (candle: ChartCandle | undefined) => {
        const price = candle?.[which] == null ? 0 : Number(candle[which])
        return price > 0 && price < 1 ? price : undefined
      }
      return bars.map(({ candle, time }, i) => {
        const here = value(candle)
        if (here === undefined) return { time }
        return value(bars[i + 1]?.candle) === undefined || value(bars[i - 1]?.candle) === undefined
          ? { time, value: here, color: "transparent" }
          : { time, value: here }
      })
    }
    now.bid.setData(side("yesBid"))
    now.ask.setData(side("yesAsk"))
    now.volume.setData(
      bars.map(({ candle, time }) => (candle?.volume == null ? { time } : { time, value: Number(candle.volume) }))
    )
    const [first] = props.candles
    const last = props.candles.at(-1)
    now.shading.setHoles(
      first === undefined || last === undefined
        ? []
        : props.gaps
            .map(({ from, to }) => ({
              from: Date.parse(from) / 1000,
              to: to === null ? last.seconds : Date.parse(to) / 1000
            }))
            .filter((hole) => hole.to >= first.seconds - step && hole.from <= last.seconds)
    )
    const key = `${step} ${first?.seconds}`
    if (shown.current.key !== key) now.chart.timeScale().fitContent()
    shown.current = { key, bars: bars.length }
  }, [props.candles, props.gaps, isDark, step])

  return (
    <>
      <Reading candle={pointed ?? props.candles.at(-1)} />
      <div class="chart" ref={holder} role="img" aria-label={props.label} data-gaps={props.gaps.length} />
    </>
  )
}
export default PriceChart
