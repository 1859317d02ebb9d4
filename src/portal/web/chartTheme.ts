import { type ChartOptions, ColorType, CrosshairMode, type DeepPartial, type Time } from "lightweight-charts"
import { useEffect, useState } from "preact/hooks"
import { utc } from "./format.ts"

const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** The page's colours, as a canvas needs them. */
export const chartColours = () => ({
  ink: token("--ink"),
  soft: token("--soft"),
  line: token("--line"),
  ground: token("--raised"),
  yes: token("--yes"),
  no: token("--no"),
  gap: token("--gap"),
  lines: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => token(`--line-${n}`))
})
export type ChartColours = ReturnType<typeof chartColours>

/** Changes when the reader's system goes from light to dark or back. */
export const useScheme = () => {
  const dark = matchMedia("(prefers-color-scheme: dark)")
  const [isDark, setIsDark] = useState(dark.matches)
  useEffect(() => {
    const onChange = () => setIsDark(dark.matches)
    dark.addEventListener("change", onChange)
    return () => dark.removeEventListener("change", onChange)
  }, [])
  return isDark
}

const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" })
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" })
const full = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" })

const dateOf = (time: Time) => new Date(Number(time) * 1000)

/** Nothing is beyond 0 and 1, so an axis has no figures there. */
const isChance = (value: number) => value > -1e-9 && value < 1 + 1e-9

export const asPercent = (value: number) => (isChance(value) ? `${(value * 100).toFixed(1)}%` : "")
export const asCents = (value: number) => (isChance(value) ? `${Number((value * 100).toFixed(2))}¢` : "")

/** Local time, and UTC beside it. */
export const bothTimes = (seconds: number) => {
  const at = new Date(seconds * 1000)
  return `${full.format(at)} · ${utc(at.toISOString()).slice(11, 16)} UTC`
}

export const chartOptions = (colours: ChartColours, format: (value: number) => string): DeepPartial<ChartOptions> => ({
  autoSize: true,
  layout: {
    background: { type: ColorType.Solid, color: "transparent" },
    textColor: colours.soft,
    fontFamily: getComputedStyle(document.documentElement).fontFamily,
    fontSize: 12,
    attributionLogo: false
  },
  grid: { vertLines: { visible: false }, horzLines: { color: colours.line } },
  crosshair: { mode: CrosshairMode.Magnet, vertLine: { color: colours.soft }, horzLine: { color: colours.soft } },
  rightPriceScale: { borderVisible: false },
  timeScale: {
    borderColor: colours.line,
    timeVisible: true,
    secondsVisible: false,
    tickMarkFormatter: (time: Time, type: number) => (type < 3 ? day : clock).format(dateOf(time))
  },
  localization: { priceFormatter: format, timeFormatter: (time: Time) => bothTimes(Number(time)) },
  handleScale: { axisPressedMouseMove: { price: false } }
})
